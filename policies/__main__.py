"""The policy pack as a program: the engine starts it before it registers the first resource."""

from pathlib import Path

from narrowgate_policies.service import serve

serve(Path(__file__).resolve().parents[1] / "stacks")
