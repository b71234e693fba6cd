async def record(): raise NotImplementedError
