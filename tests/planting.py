"""Trees drawn as indented text, planted as records: tests show a tree as a person would draw it.

    plant('''
    good q=0.5 n=2
      print code=4
        four answer=4 correct
    bad q=-1 n=1
      print code=5
        five answer=5 wrong
    ''')

One line a node, two spaces a level. `q=` is the average value, `n=` the visits, `code=` ends the code with that output,
`answer=` makes it an answer; `correct`, `wrong`, `unreadable`, … is its verdict, without one no rollout reached it; at a step
marked `dead` a rollout ended because no next step's code ran.
"""

from rstar_math.records import End, Node, Problem, Rollout, Step, Tree, Verdict

PROBLEM = Problem("p1", "What is 2 + 2?", "4", level="1")


def plant(drawing: str, problem: Problem = PROBLEM, seed: int = 7) -> Tree:
    """The tree of a drawing; the root's visits and value are the sums over its children."""
    nodes = [Node(-1, Step(""), 0, 0.0)]
    dead = []
    ancestors = [0]
    for line in filter(str.strip, drawing.splitlines()):
        depth = (len(line) - len(line.lstrip())) // 2
        base = _indent(drawing)
        del ancestors[depth - base + 1 :]
        words = line.split()
        nodes.append(_node(ancestors[-1], [word for word in words if word != "dead"]))
        ancestors.append(len(nodes) - 1)
        if "dead" in words:
            dead.append(len(nodes) - 1)
    leaves = [index for index, node in enumerate(nodes) if node.verdict is not None]
    values = {index: 1.0 if nodes[index].verdict is Verdict.CORRECT else -1.0 for index in leaves}
    nodes[0] = nodes[0]._replace(visits=len(leaves), value=sum(values.values()))
    rollouts = [Rollout(index, End.ANSWER, values[index]) for index in leaves]
    rollouts += [Rollout(index, End.DEAD_END, -1.0) for index in dead]
    return Tree(problem, seed, tuple(nodes), tuple(rollouts))


def _indent(drawing: str) -> int:
    return min((len(line) - len(line.lstrip())) // 2 for line in drawing.splitlines() if line.strip())


def _node(parent: int, words: list[str]) -> Node:
    name, *marks = words
    fields = dict(mark.split("=", 1) for mark in marks if "=" in mark)
    verdict = next((Verdict(mark) for mark in marks if "=" not in mark), None)
    visits = int(fields.get("n", 1))
    end = "<end_of_answer>" if "answer" in fields else "<end_of_code>" if "code" in fields else "<end_of_step>"
    value = float(fields.get("q", 0)) * visits
    step = Step(f"# {name}\n{end}", fields.get("code"))
    return Node(parent, step, visits, value, None, fields.get("answer"), verdict)
