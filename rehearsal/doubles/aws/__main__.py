"""The process `pulumi-resource-aws`."""

from rehearsal.doubles.aws.package import PACKAGE
from rehearsal.doubles.provider import run_double

if __name__ == "__main__":
    run_double(PACKAGE)
