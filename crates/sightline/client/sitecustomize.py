"""Lets unmodified SageMaker programs reach the server that AWS_ENDPOINT_URL names.

The SageMaker SDK makes its STS client with a hard-coded `https://sts.<region>.amazonaws.com`, and
an explicit address beats the variable. With this file's folder on PYTHONPATH, that one address is
left out when a client for STS is made, so botocore takes the variable, as it does for every other
service.

Rules of this file: import nothing of the program's before the program does; whatever fails here
leaves the original behaviour; a sitecustomize of the user's own still runs, once, as if this file
were not there. Python 3.8 and later, standard library only.
"""

import os
import sys

_MODULE = "botocore.session"


def _is_hard_coded(endpoint_url):
    """Whether the address is one of AWS's own, and the environment names another server."""
    if not endpoint_url:
        return False
    if not (os.environ.get("AWS_ENDPOINT_URL_STS") or os.environ.get("AWS_ENDPOINT_URL")):
        return False
    from urllib.parse import urlsplit

    host = urlsplit(endpoint_url).hostname or ""
    return host.endswith(".amazonaws.com")


def _redirect(session_class):
    import functools

    original = session_class.create_client

    @functools.wraps(original)
    def create_client(self, service_name, *args, **kwargs):
        try:
            if service_name == "sts" and _is_hard_coded(kwargs.get("endpoint_url")):
                kwargs["endpoint_url"] = None
        except Exception:
            pass
        return original(self, service_name, *args, **kwargs)

    session_class.create_client = create_client


def _redirect_after_exec(loader):
    """Makes the loader patch the module it has run.

    The loader object stays the real one: `inspect`, `pkgutil` and `isinstance` see no difference.
    """
    original = loader.exec_module

    def exec_module(module):
        original(module)
        if module.__name__ == _MODULE:
            try:
                _redirect(module.Session)
            except Exception:
                pass

    loader.exec_module = exec_module


class _BotocoreFinder:
    """Finds `botocore.session` with the other finders, and nothing else."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != _MODULE:
            return None
        for finder in list(sys.meta_path):
            find_spec = getattr(finder, "find_spec", None)
            if finder is cls or find_spec is None:
                continue
            spec = find_spec(name, path, target)
            if spec is not None:
                try:
                    _redirect_after_exec(spec.loader)
                except Exception:
                    pass
                return spec
        return None


def _install():
    try:
        if _MODULE in sys.modules:
            _redirect(sys.modules[_MODULE].Session)
        else:
            sys.meta_path.insert(0, _BotocoreFinder)
    except Exception:
        pass


def _next_sitecustomize():
    """The spec of the sitecustomize that this file hides, if there is one."""
    try:
        from importlib.machinery import PathFinder

        here = os.path.realpath(os.path.dirname(__file__))
        others = [entry for entry in sys.path if os.path.realpath(entry or os.curdir) != here]
        spec = PathFinder.find_spec("sitecustomize", others)
        # A folder of that name without code is a namespace package: nothing to run.
        return spec if spec is not None and spec.loader is not None else None
    except Exception:
        return None


def _run(spec):
    """Runs the hidden sitecustomize under its own name.

    Its errors are passed on: the interpreter reports them as it would without this file.
    """
    from importlib.util import module_from_spec

    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


_install()
_hidden = _next_sitecustomize()
if _hidden is not None:
    _run(_hidden)
