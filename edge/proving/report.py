"""What a simulation says at its end, for a machine and for a person."""

import msgspec


def counted(done: dict[str, int], faults: dict[str, int], checked: dict[str, int]) -> list[str]:
    """A line for each: what people did, what struck, which promise was put to the test; and how often."""
    return [f"{title}: " + ", ".join(f"{name} {count}" for name, count in counts.items())
            for title, counts in (("Done", done), ("Faults", faults), ("Checked", checked))]


class SimulationReport(msgspec.Struct, frozen=True):
    """One run. `done`: how often people did what; `faults`: how often each struck; `checked`: how often each promise
    was put to the test."""

    seed: int
    virtual_s: float
    wall_s: float
    facts: int
    done: dict[str, int]
    faults: dict[str, int]
    checked: dict[str, int]
    violations: list[str]

    def as_text(self) -> str:
        """A few lines for a terminal."""
        speed = 3600 * (self.virtual_s / 86_400) / self.wall_s if self.wall_s else 0.0
        lines = [f"Seed {self.seed}: {self.virtual_s / 3600:.1f} virtual hours in {self.wall_s:.1f} s "
                 f"({speed:.0f} store-days per hour), {self.facts} facts at the hub.",
                 *counted(self.done, self.faults, self.checked)]
        broken = [f"BROKEN {violation}" for violation in self.violations]
        return "\n".join((*lines, *(broken or ["No promise was broken."])))
