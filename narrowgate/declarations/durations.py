"""Durations as declarations write them; the words are `narrowgate.compile.durations`', which grants need too."""

from narrowgate.compile.durations import Duration, format_duration, parse_duration

__all__ = ["Duration", "format_duration", "parse_duration"]
