"""The trained services that the end-to-end stories start from."""

from tests.made_services import trained_services

__all__ = ["trained_services"]
