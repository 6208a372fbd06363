"""Stand-ins for what the clients import beside diffsync: whatever is asked of them is there, and does nothing.

They are no fakes of Nautobot or Django: they only let a client's modules be imported, so that its own classes can be
looked at and called.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types

# pydantic takes functions in the body of a class for methods, and refuses classes there.
FUNCTIONS = frozenset({"parse_datetime"})


def _nothing(*args, **options):
    """Stand in for a function."""


def _decorated(args, options):
    """Say whether a call is that of a decorator."""
    return len(args) == 1 and not options and isinstance(args[0], type | types.FunctionType)


class _Anything(type):
    """The type of stub classes: each name is there, and gives a stub class, too."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return stub_class(name, f"{cls.__module__}.{cls.__qualname__}")

    def __iter__(cls):
        return iter(())

    def __or__(cls, other):
        return cls

    __ror__ = __or__


class Stub(metaclass=_Anything):
    """An object that has every attribute and can be called, iterated over and used as a decorator."""

    def __new__(cls, *args, **options):
        if cls.__dict__.get("is_stub") and _decorated(args, options):
            return args[0]
        return super().__new__(cls)

    def __init__(self, *args, **options):
        pass

    def __init_subclass__(cls, **options):
        super().__init_subclass__()

    def __class_getitem__(cls, item):
        return cls

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return stub_class(name, type(self).__module__)()

    def __call__(self, *args, **options):
        if _decorated(args, options):
            return args[0]
        return self

    def __getitem__(self, key):
        return self

    def __setitem__(self, key, value):
        pass

    def __iter__(self):
        return iter(())

    def __len__(self):
        return 0

    def __bool__(self):
        return True

    def __int__(self):
        return 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


def stub_class(name, module):
    """Return a new stub class; names of exceptions give exceptions."""
    if name.endswith(("Error", "Exception", "DoesNotExist", "Exist", "Retry")):
        return type(name, (Exception,), {"__module__": module})
    return _Anything(name, (Stub,), {"__module__": module, "is_stub": True})


class _Module(types.ModuleType):
    """A module in which every name is there."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        made = _nothing if name.startswith("parse_") else stub_class(name, self.__name__)
        setattr(self, name, made)
        return made


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives stub modules below the given packages, if nothing else finds them."""

    def __init__(self, packages):
        self.packages = set(packages)

    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] not in self.packages:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec):
        return _Module(spec.name)

    def exec_module(self, module):
        pass


def install(packages):
    """Let each of these packages be imported, although it is not there."""
    sys.meta_path.append(Finder(packages))
