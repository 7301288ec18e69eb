"""The values of cells, as people write them."""

from datetime import date, datetime, time, timedelta

Value = int | float | str | bool | time | date | datetime | timedelta


def write_value(value: Value) -> str:
    """A cell's value as a person would write it: 3 rather than 3.0, dates as ISO 8601, midnight left out."""
    match value:
        case str():
            return value
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(value)
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else format(value, ".15g")
        case datetime():
            return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "seconds")
        case date():
            return value.isoformat()
        case time():
            return value.isoformat("seconds")
        case _:
            hours, seconds = divmod(round(value.total_seconds()), 3600)
            return f"{hours}:{seconds // 60:02}:{seconds % 60:02}"
