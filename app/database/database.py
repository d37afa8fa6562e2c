"""What services see of a database. The types stand in `app/core/`, because `Service` names them."""

from app.core.database import Connection, Database, Dialect, Row, Schema

__all__ = ["Connection", "Database", "Dialect", "Row", "Schema"]
