"""Which cluster and namespace a command means. Imports nothing heavy: options are made of it."""

from dataclasses import dataclass

from a360.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Place:
    """Which cluster and namespace, as options say it; what is None comes from the kubeconfig."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None
    """One path or several, as in KUBECONFIG."""

    def require_cluster(self, *, probe: bool = False) -> None:
        """For a command without ``--cluster``: options that mean one must not be given and do nothing.

        Raises:
            ConfigError: one is given.
        """
        named = {"--namespace": self.namespace, "--context": self.context, "--probe": probe}
        given = [option for option, value in named.items() if value]
        if given:
            raise ConfigError(
                f"{given[0]} is given without --cluster", hint=f"add --cluster, or leave {given[0]} out"
            )
