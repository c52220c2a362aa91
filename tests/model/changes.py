"""Changes of one part of the state."""

from tests.model.states import Message, Site, State, Worker


def message(state: State, place: int, after: Message) -> State:
    """Change the message at a place."""
    messages = list(state.messages)
    messages[place] = after
    return state._replace(messages=tuple(messages))


def working(state: State, number: int, phase: str = "idle", *holding: int) -> State:
    """Change what a worker is at."""
    workers = list(state.workers)
    workers[number] = Worker(phase, *holding)
    # The workers are alike: one order for all their permutations.
    return state._replace(workers=tuple(sorted(workers)))


def site(state: State, number: int, phase: str = "idle", lease: int = 0, answer: int = 0) -> State:
    """Change what a site is at."""
    sites = list(state.sites)
    sites[number] = Site(phase, lease, answer)
    return state._replace(sites=tuple(sorted(sites)))


def sent(state: State, number: int, phase: str) -> State:
    """Let a site send its answer."""
    sender = state.sites[number]
    said = list(state.said)
    said[sender.answer - 1] = True
    return credit(site(state._replace(said=tuple(said)), number, phase, *sender[1:]), sender.answer, -1)


def credit(state: State, round_: int, by: int = 1) -> State:
    """Allow a round of work more answers, or fewer."""
    allowed = list(state.credit)
    allowed[round_ - 1] += by
    return state._replace(credit=tuple(allowed))
