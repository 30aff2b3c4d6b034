"""The policy pack as a program: the engine starts it before it registers the first resource."""

from narrowgate_policies.pack import serve

serve()
