"""What Alembic runs: the chain on the connection, and in the transaction, that `run.upgrade` hands over."""

from alembic import context

from lockgate.storage.models import Base, is_modelled
from lockgate.storage.schema import VERSION_TABLE


def main() -> None:
    connection = context.config.attributes.get("connection")
    if connection is None:
        raise RuntimeError("run `lockgate db upgrade`: the chain needs the connection that it locks")
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table=VERSION_TABLE,
        include_name=is_modelled,
        transactional_ddl=True,
        render_as_batch=connection.dialect.name == "sqlite",  # SQLite changes a table by copying it
    )
    with context.begin_transaction():
        context.run_migrations()


main()
