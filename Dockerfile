# The proxy by itself: docker build -t lockgate . && docker run -p 8080:8080 -v lockgate:/var/lib/lockgate lockgate
FROM python:3.13-slim AS build
WORKDIR /source
COPY requirements.txt .
RUN python -m venv /opt/lockgate \
    && /opt/lockgate/bin/pip install --no-cache-dir --require-hashes -r requirements.txt
COPY pyproject.toml README.md ./
COPY lockgate lockgate
COPY addons addons
COPY bench bench
COPY certs certs
COPY policies policies
COPY storage storage
RUN /opt/lockgate/bin/pip install --no-cache-dir --no-deps .

FROM python:3.13-slim
COPY --from=build /opt/lockgate /opt/lockgate
RUN useradd --system --home-dir /var/lib/lockgate --create-home lockgate \
    && chmod 700 /var/lib/lockgate
USER lockgate
WORKDIR /var/lib/lockgate
# The database, the authority and the log. A lockgate.yaml mounted here is read too.
VOLUME /var/lib/lockgate
ENV PATH=/opt/lockgate/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    LOCKGATE_HOME=/var/lib/lockgate \
    LOCKGATE_LISTEN=0.0.0.0:8080
EXPOSE 8080
ENTRYPOINT ["lockgate", "serve"]
