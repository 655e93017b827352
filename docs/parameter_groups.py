"""Headings and anchors for the parameters on the pages of the reference.

The docstring of a class with many parameters lists their groups, after the sentence ``SENTENCE``:

    - loss: ``cost``, ``layout``
    - target: ``target``, ``sigma``

On the page, the list of parameters is divided into these groups, each under a heading of the class
"parameter-group", and the list of groups links to headings and parameters. A group list that does not name the
parameters of the page in their order is a warning, which ``make docs`` makes an error. Of a signature of more than
``LONGEST`` parameters, the page shows those of the first group only, so that the summary stays near the top.

Every parameter of a class or function has an anchor, such as ``#skgca.GCAEmbedder-epsilon``, and the label of the
same name, so that pages can link to it: ``[epsilon](#skgca.GCAEmbedder-epsilon)``.
"""

from docutils import nodes
from sphinx import addnodes
from sphinx.util import logging

SENTENCE = "The parameters below are listed in groups:"
LONGEST = 20

logger = logging.getLogger(__name__)


def parameter_list(content):
    """Definition list of the parameters in the description of an object, None if it has none."""
    for fields in content.children:
        if isinstance(fields, nodes.field_list):
            for field in fields:
                if field[0].astext() == "Parameters" and isinstance(
                    field[1][0], nodes.definition_list
                ):
                    return field[1][0]
    return None


def group_list(content):
    """Bullet list of the groups in the description of a class, None if it has none."""
    for before, after in zip(content.children, content.children[1:], strict=False):
        if isinstance(after, nodes.bullet_list) and before.astext() == SENTENCE:
            return after
    return None


def names_of(item):
    """Names of an entry: "q, lam : float" has two, and "**options" is one without stars."""
    return [
        name.strip(" *") for name in item[0].next_node(nodes.strong).astext().split(",")
    ]


def link_to(anchor, what):
    """Link to an anchor, which the theme shows beside it on hovering."""
    return nodes.reference(
        "", "#", refid=anchor, classes=["headerlink"], reftitle=f"Link to {what}"
    )


def add_anchors(env, prefix, parameters):
    """Give each parameter an anchor, a link to it, and a label for other pages."""
    labels = env.get_domain("std")
    for item in parameters:
        names = names_of(item)
        term = item[0]
        term["ids"] += [f"{prefix}-{name}" for name in names]
        for classifier in list(
            item.findall(nodes.classifier)
        ):  # the type, which goes before the link
            item.remove(classifier)
            term.append(
                nodes.inline("", "", *classifier.children, classes=["classifier"])
            )
        term.append(link_to(term["ids"][0], "this parameter"))
        for name in names:
            label = f"{prefix}-{name}"
            labels.note_hyperlink_target(label.lower(), env.docname, label, name)


def add_headings(prefix, groups, parameters):
    """Divide the list of parameters into the groups, and make links of the names in the list of groups."""
    told = [
        [literal.astext() for literal in group.findall(nodes.literal)]
        for group in groups
    ]
    found = [name for item in parameters for name in names_of(item)]
    in_groups = [name for names in told for name in names]
    if in_groups != found:
        raise ValueError(
            f"the groups have {in_groups}, the list of parameters has {found}"
        )
    divided, left = [], list(parameters)
    for group, names in zip(groups, told, strict=True):
        label, colon, rest = group[0][0].astext().partition(":")
        anchor = f"{prefix}-group-{nodes.make_id(label)}"
        title = label[0].upper() + label[1:]
        heading = nodes.rubric(
            "", title, ids=[anchor], classes=["parameter-group"], **{"heading-level": 2}
        )
        heading.append(link_to(anchor, "these parameters"))
        divided.append(heading)
        items = []
        while left and set(names_of(left[0])) <= set(names):
            items.append(left.pop(0))
        divided.append(
            nodes.definition_list("", *items, **{"classes": parameters["classes"]})
        )

        group[0].replace(
            group[0][0],
            [nodes.reference("", label, refid=anchor), nodes.Text(colon + rest)],
        )
        for literal in list(group.findall(nodes.literal)):
            link = nodes.reference(
                "", "", literal.deepcopy(), refid=f"{prefix}-{literal.astext()}"
            )
            literal.parent.replace(literal, link)
    if left:
        raise ValueError(
            f"{names_of(left[0])} are described together, but are in different groups"
        )
    parameters.parent.replace(parameters, divided)


def shorten(signature, groups):
    """Leave the parameters of the first group, and dots for all others."""
    first = {literal.astext() for literal in groups[0].findall(nodes.literal)}
    for parameters in signature.findall(addnodes.desc_parameterlist):
        if len(parameters) > LONGEST:
            shown = [
                one
                for one in parameters
                if one.astext().partition("=")[0] in {"*", *first}
            ]
            parameters.children = []
            parameters.extend([*shown, addnodes.desc_parameter("", "...")])


def group_parameters(app, doctree):
    """Add headings and anchors to all descriptions of a page."""
    for description in doctree.findall(addnodes.desc):
        ids, content = description[0]["ids"], description[-1]
        parameters = parameter_list(content)
        if not ids or parameters is None:
            continue
        groups = group_list(content)
        try:
            add_anchors(app.env, ids[0], parameters)
            if groups is not None:
                shorten(description[0], groups)
                add_headings(ids[0], groups, parameters)
        except ValueError as error:
            logger.warning("%s: %s", ids[0], error, location=description)


def setup(app):
    """Is called by sphinx."""
    app.connect("doctree-read", group_parameters)
    return {"parallel_read_safe": True}
