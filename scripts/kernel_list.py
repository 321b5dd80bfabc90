#!/usr/bin/env python3
"""What follows from the list of kernels: kernel_list.py FOLDER PRODUCT [OUTPUT], FOLDER = kernels/ of the sources.

Reads src/kernels.def, and from include/slidekit/kernels/*.hpp the comment of each function and the fields of each
struct. Products:
  header     the C ABI, include/slidekit/kernels.h, which is kept in the repository: it is documentation, and a
             change of the ABI shows in review; with --check: exit 1 where it is not what the list says
  checks     kernel_checks.hpp: a function check_<kernel> that tells whether arguments keep the contract
  c_api      c_api_calls.inc: the C functions, which check and call
  calls      kernel_calls.hpp: arguments and calls of each kernel, for tests, fuzzers and benches
  catalogue  the table of kernels/README.md; with --check like header. Its figures are taken from --results FILE,
             which scripts/bench.sh kernels --json FILE writes; else they stay
"""

import argparse
import ast
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import bench_table

CTYPES = {"std::size_t": "size_t", "std::uint64_t": "uint64_t", "std::uint32_t": "uint32_t", "std::int32_t": "int32_t",
          "std::uint16_t": "uint16_t", "std::int16_t": "int16_t", "std::uint8_t": "uint8_t", "std::int8_t": "int8_t",
          "float": "float", "double": "double", "void": "void"}
ELEMENTS = {"float": "f32", "std::int8_t": "i8", "std::uint8_t": "u8", "Bf16": "bf16", "std::uint16_t": "u16",
            "std::uint32_t": "u32", "std::int32_t": "i32"}
CONSTEXPR_CALLS = {"min", "max"}


def fail(message):
    sys.exit(f"kernel_list.py: {message}")


# --- reading -----------------------------------------------------------------------------------------------------


@dataclass
class Parameter:
    type: str
    name: str

    @property
    def is_pointer(self):
        return self.type.endswith("*")

    @property
    def is_const(self):
        return self.type.startswith("const ") or "<const " in self.type

    @property
    def value_type(self):
        """Without const, * and &."""
        return re.sub(r"^const |[*&]$", "", self.type).strip()

    @property
    def element(self):
        """Of a RowMatrix."""
        match = re.fullmatch(r"RowMatrix<(?:const )?(.+)>", self.value_type)
        return match.group(1) if match else None

    @property
    def is_scalar(self):
        return not self.is_pointer and self.value_type in CTYPES

    @property
    def is_plan(self):
        return self.value_type.endswith("Plan")


@dataclass
class Item:
    """What the contract says of one parameter."""
    name: str
    count: str = None       # x[count]
    optional: bool = False  # x?
    fields: list = field(default_factory=list)  # (field, operator, expression)
    layout: tuple = None    # keys{layout rows tables}
    bounds: list = field(default_factory=list)
    ascending: bool = False
    nonnegative: bool = False


@dataclass
class Kernel:
    name: str
    result: str
    parameters: list
    dtype: str
    items: dict
    ranges: dict  # size -> (least, most)
    agreement: str
    unit: str
    work: list    # expressions: items, bytes, flops
    shapes: list  # (heat, {size: number})
    comment: list
    subject: str

    @property
    def c_name(self):
        name = self.name if self.name.endswith("_" + self.dtype) else f"{self.name}_{self.dtype}"
        return "slidekit_" + name

    def parameter(self, name):
        return next(p for p in self.parameters if p.name == name)

    @property
    def sizes(self):
        return list(self.shapes[0][1])


def split_top(text, separator=","):
    """Splits at separators outside of brackets and strings."""
    parts, depth, start, quoted = [], 0, 0, False
    for i, c in enumerate(text):
        if c == '"':
            quoted = not quoted
        elif not quoted and c in "<>" and (text[i - 1] == " " or text[i + 1:i + 2] == "="):
            pass  # a comparison
        elif not quoted and c in "([{<":
            depth += 1
        elif not quoted and c in ")]}>":
            depth -= 1
        elif not quoted and depth == 0 and c == separator:
            parts.append(text[start:i].strip())
            start = i + 1
    parts.append(text[start:].strip())
    return [part for part in parts if part]


ITEM = re.compile(r"""(?P<name>\w+)(?P<optional>\?)?
    (?:\[(?P<count>.+?)\])?
    (?:\{(?P<layout>.+?)\})?
    (?:\((?P<fields>[^)]*)\))?
    (?:\s*<\s*(?P<bounds>.+?))?
    (?P<ascending>\s+ascending)?(?P<nonnegative>\s+nonnegative)?$""", re.VERBOSE)


def read_item(text):
    match = ITEM.fullmatch(text)
    if not match:
        fail(f"kernels.def: cannot read the contract's item \"{text}\"")
    fields = [re.fullmatch(r"(\w+)(<=|>=|=)(.+)", part).groups() for part in (match["fields"] or "").split()]
    return Item(match["name"], match["count"], bool(match["optional"]), fields,
                tuple(match["layout"].split()) if match["layout"] else None,
                [bound.strip() for bound in match["bounds"].split("&")] if match["bounds"] else [],
                bool(match["ascending"]), bool(match["nonnegative"]))


def read_string(text):
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text))


def read_kernels(folder):
    comments = read_comments(folder)
    text = re.sub(r"^\s*//.*$", "", (folder / "src/kernels.def").read_text(), flags=re.MULTILINE)
    kernels = []
    at = 0
    while (at := text.find("SLIDEKIT_KERNEL(", at)) >= 0:
        begin = at + len("SLIDEKIT_KERNEL(")
        depth, end, quoted = 1, begin, False
        while depth:
            quoted ^= text[end] == '"'
            depth += 0 if quoted else (text[end] == "(") - (text[end] == ")")
            end += 1
        at = end
        parts = split_top(text[begin:end - 1])
        if len(parts) != 9:
            fail(f"kernels.def: {parts[0]}: {len(parts)} columns, expected 9")
        name, result, parameters, _, dtype, contract, agreement, work, shapes = parts
        if name not in comments:
            fail(f"kernels.def: {name}: no declaration with a /// comment in include/slidekit/kernels")
        items, ranges = {}, {}
        for part in split_top(read_string(contract)):
            ranged = re.fullmatch(r"([\w.]+) in (\d+)\.\.(\d+)", part)
            if ranged:
                ranges[ranged[1]] = (int(ranged[2]), int(ranged[3]))
            else:
                item = read_item(part)
                items[item.name] = item
        unit, figures = read_string(work).split(":", 1)
        kernels.append(Kernel(
            name, result,
            [Parameter(*re.fullmatch(r"(.+[ *&>])(\w+)", p.strip()).groups()) for p in split_top(parameters[1:-1])],
            dtype, items, ranges, agreement, unit, [f.strip() for f in figures.split("|")],
            [(shape.split()[0], {k: int(v) for k, v in (pair.split("=") for pair in shape.split()[1:])})
             for shape in read_string(shapes).split(";")],
            comments[name][1], comments[name][0]))
        for parameter in kernels[-1].parameters:
            parameter.type = parameter.type.strip()
        known = {p.name for p in kernels[-1].parameters}
        for name_of_item in items:
            if name_of_item not in known:
                fail(f"kernels.def: {name}: the contract speaks of \"{name_of_item}\", which is no parameter")
        for _, shape in kernels[-1].shapes:
            if list(shape) != kernels[-1].sizes:
                fail(f"kernels.def: {name}: its shapes give different sizes")
    return kernels


def headers(folder):
    return sorted((folder / "include/slidekit/kernels").glob("*.hpp"))


def read_comments(folder):
    """Kernel -> (header's name, lines of its /// comment); overloads without one share the comment before."""
    comments = {}
    for header in headers(folder):
        lines, shared = [], []
        for line in header.read_text().splitlines():
            if line.startswith("///"):
                lines.append(line[3:].removeprefix(" "))
                continue
            match = re.match(r"(?:SLIDEKIT_API|\[\[nodiscard\]\] SLIDEKIT_API) .*?(\w+)\($", line + ("" if "(" in line else "(")) or \
                re.match(r"(?:SLIDEKIT_API|\[\[nodiscard\]\] SLIDEKIT_API) [^(]*?(\w+)\(", line)
            if match:
                shared = lines or shared
                comments[match.group(1)] = (header.stem, shared)
            if line:
                lines = []
    return comments


@dataclass
class Struct:
    name: str
    comment: list
    fields: list  # (type, name, comment lines before, comment behind)


def read_structs(folder):
    """Plain structs of the public headers, in order: those that the C ABI mirrors."""
    structs = {}
    for header in headers(folder):
        lines = header.read_text().splitlines()
        for i, line in enumerate(lines):
            match = re.fullmatch(r"struct (?:alignas\(\d+\) )?(\w+) \{", line)
            if not match or lines[i - 1].startswith("template"):
                continue
            comment = []
            before = i - 1
            while lines[before].startswith("///"):
                comment.insert(0, lines[before][3:].removeprefix(" "))
                before -= 1
            fields, notes, j = [], [], i + 1
            while lines[j] != "};":
                text = lines[j].strip()
                if text.startswith("//"):
                    notes.append(text.lstrip("/ "))
                elif text and not text.startswith("static ") and "(" not in text.split("//")[0]:
                    found = re.fullmatch(r"([^={]+[ *&>])(\w+)(?:\[(\d+)\])?(?: = [^;]*|\{[^;]*\})?;(?:\s*//\s*(.*))?", text)
                    if not found:
                        fail(f"{header.name}: {match[1]}: cannot read the field \"{text}\"")
                    fields.append((found[1].strip(), found[2], found[3], notes, found[4] or ""))
                    notes = []
                else:
                    notes = []
                j += 1
            structs[match[1]] = Struct(match[1], comment, fields)
    return structs


# --- names in C --------------------------------------------------------------------------------------------------


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def c_struct(name):
    return "slidekit_" + {"SparseView": "sparse_view", "GroupsView": "groups_view"}.get(name, snake(name))


def c_type(cpp):
    cpp = cpp.strip()
    if cpp.endswith("*"):
        inner = cpp[:-1].strip()
        const = inner.startswith("const ")
        return ("const " if const else "") + c_type(inner.removeprefix("const ")) + "*"
    if cpp.startswith("const ") and cpp.endswith("&"):
        return f"const {c_type(cpp[6:-1])}*"
    match = re.fullmatch(r"RowMatrix<(const )?(.+)>", cpp)
    if match:
        return f"slidekit_{'const_' if match[1] else ''}matrix_{ELEMENTS[match[2]]}"
    return CTYPES.get(cpp) or c_struct(cpp)


def closure(kernels, structs):
    """Structs and matrices that the kernels' signatures need, each after what it needs itself."""
    order = []

    def need(cpp):
        cpp = re.sub(r"^const |[*&]$", "", cpp.strip()).strip()
        cpp = re.sub(r"^const |[*&]$", "", cpp).strip()
        if cpp in CTYPES or cpp in order:
            return
        matrix = re.fullmatch(r"RowMatrix<(?:const )?(.+)>", cpp)
        if matrix:
            need(matrix[1])
        elif cpp in structs:
            for type_, *_ in structs[cpp].fields:
                need(type_)
        else:
            fail(f"no struct {cpp} in the public headers")
        order.append(cpp)

    for kernel in kernels:
        for parameter in kernel.parameters:
            need(parameter.type)
    return order


# --- expressions of contracts ------------------------------------------------------------------------------------


def expression(text, leaf, binary, call):
    """Rewrites a contract's expression: names by leaf, a OP b by binary, f(a, ...) by call."""
    def walk(node):
        if isinstance(node, ast.BinOp):
            operator = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "/"}[type(node.op)]
            return binary(operator, walk(node.left), walk(node.right))
        if isinstance(node, ast.Call):
            return call(ast.unparse(node.func), [walk(argument) for argument in node.args])
        if isinstance(node, ast.Constant):
            return leaf(str(node.value))
        return leaf(ast.unparse(node))
    try:
        return walk(ast.parse(text, mode="eval").body)
    except (SyntaxError, KeyError):
        fail(f"kernels.def: cannot read the expression \"{text}\"")


def checked(text):
    """In std::size_t, saturated where it would overflow."""
    names = {"+": "sum", "-": "less", "*": "product", "/": "quotient"}

    def call(name, arguments):
        return f"{'least' if name == 'min' else 'most' if name == 'max' else name}({', '.join(arguments)})"
    return expression(text, lambda leaf: f"std::size_t{{{leaf}}}",
                      lambda operator, a, b: f"{names[operator]}({a}, {b})", call)


def plain(text, leaf):
    def call(name, arguments):
        return (f"std::{name}<std::size_t>" if name in CONSTEXPR_CALLS else name) + f"({', '.join(arguments)})"
    return expression(text, leaf, lambda operator, a, b: f"({a} {operator} {b})", call)


# --- products ----------------------------------------------------------------------------------------------------

GENERATED = "Made by scripts/kernel_list.py from kernels/src/kernels.def"


def block_comment(lines, indent=""):
    if not lines:
        return []
    if len(lines) == 1:
        return [f"{indent}/** {lines[0]} */"]
    return [f"{indent}/** {lines[0]}"] + [f"{indent} * {line}".rstrip() for line in lines[1:]] + [f"{indent} */"]


def c_parameters(kernel):
    parameters = [f"{c_type(p.type)} {p.name}" for p in kernel.parameters]
    if kernel.result != "void":
        parameters.append(f"{c_type(kernel.result)}* result")
    return parameters


def c_declaration(name, parameters):
    text = f"SLIDEKIT_C_API slidekit_status {name}({', '.join(parameters)})"
    if len(text) <= 99:
        return text
    head = f"SLIDEKIT_C_API slidekit_status {name}("
    return head + "\n" + ",\n".join("    " + p for p in parameters) + ")"


def product_header(folder, kernels, structs):
    template = (folder / "src/kernels.h.in").read_text()
    views = []
    for name in closure(kernels, structs):
        matrix = re.fullmatch(r"RowMatrix<(?:const )?(.+)>", name)
        if matrix:
            element = matrix[1]
            for const in ("const ", ""):
                c_name = f"slidekit_{'const_' if const else ''}matrix_{ELEMENTS[element]}"
                text = [f"typedef struct {c_name} {{", f"    {const}{c_type(element)}* data;",
                        "    size_t rows;", "    size_t dim;", "    size_t stride; /* elements from row to row, >= dim */",
                        f"}} {c_name};"]
                if "\n".join(text) not in views:
                    views.append("\n".join(text))
            continue
        struct = structs[name]
        text = block_comment(struct.comment) + [f"typedef struct {c_struct(name)} {{"]
        for type_, field_name, array, before, behind in struct.fields:
            text += [f"    /* {line} */" for line in before]
            text.append(f"    {c_type(type_)} {field_name}{f'[{array}]' if array else ''};"
                        + (f" /* {behind} */" if behind else ""))
        views.append("\n".join(text + [f"}} {c_struct(name)};"]))
    functions, subject = [], None
    for kernel in kernels:
        if kernel.subject != subject:
            subject = kernel.subject
            functions.append(f"/* --- {subject} {'-' * (70 - len(subject))} */")
        note = [] if kernel.result == "void" else ["*result: what the function of C++ returns."]
        functions.append("\n".join(
            block_comment(kernel.comment + note)
            + [c_declaration(kernel.c_name, c_parameters(kernel)) + ";",
               c_declaration(kernel.c_name + "_fast", c_parameters(kernel)) + ";"]))
    isa = re.search(r"enum class Isa \{([^}]*)\}", (folder / "include/slidekit/kernels/isa.hpp").read_text())[1]
    levels = [f"    SLIDEKIT_ISA_{name.strip().upper()} = {i}" for i, name in enumerate(isa.strip().rstrip(",").split(","))]
    return template.replace("@ISA@", ",\n".join(levels)).replace("@STRUCTS@", "\n\n".join(views)).replace("@FUNCTIONS@", "\n\n".join(functions))


def check_statements(kernel):
    """Shapes first, since the arrays' sizes come from them; what the arrays hold last."""
    shapes, arrays, contents = [], [], []
    for size, (least, most) in kernel.ranges.items():
        shapes.append(f"in_range({size}, {least}, {most})")
    for p in kernel.parameters:
        item = kernel.items.get(p.name, Item(p.name))
        optional = "Null::allowed" if item.optional else "Null::refused"
        if p.is_plan:
            shapes.insert(0, f"plan_is_valid({p.name}, depth)")
        elif p.is_pointer:
            if item.layout:
                layout, rows, tables = item.layout
                arrays.append(f"laid_out({p.name}, {layout}, {checked(rows)}, {checked(tables)})")
            elif item.count is None:
                fail(f"kernels.def: {kernel.name}: the contract gives no size of \"{p.name}\"")
            else:
                arrays.append(f"array({p.name}, {checked(item.count)}, {optional})")
                if item.bounds:
                    order = "Order::ascending" if item.ascending else "Order::any"
                    contents.append(f"elements_below({p.name}, {checked(item.count)}, "
                                    f"{checked(item.bounds[0])}, {order})")
        elif p.element:
            shapes.append(f"matrix({p.name}, {optional})")
        elif p.value_type == "StridedMatrix":
            shapes.append(f"strided({p.name})")
        elif p.value_type == "SparseView":
            arrays.append(f"sparse({p.name})")
            if item.bounds or item.ascending:
                order = "Order::ascending" if item.ascending else "Order::any"
                bound = checked(item.bounds[0]) if item.bounds else "kTooLarge"
                contents.append(f"elements_below({p.name}.ids, {p.name}.nnz, {bound}, {order})")
        elif p.value_type == "BucketsView":
            arrays.append(f"buckets_shape({p.name})")
            contents.append(f"buckets_content({p.name}, {checked(item.bounds[0])})")
        elif p.value_type == "GroupsView":
            arrays.append(f"groups_shape({p.name})")
            contents.append(f"groups_content({p.name}, {checked(item.bounds[0])}, {checked(item.bounds[1])})")
        elif p.value_type == "KeyLayout" or p.is_scalar:
            pass
        elif item.count is not None:
            arrays.append(f"array({p.name}, {checked(item.count)})")
        else:
            shapes.append(f"is_valid({p.name})")
        relations = [f"relation({p.name}.{name} {'==' if operator == '=' else operator} {checked(value)})"
                     for name, operator, value in item.fields]
        if relations and item.optional:
            relations = [f"({p.name}.data == nullptr ? Status::ok : {relation})" for relation in relations]
        shapes += relations
    return shapes, arrays, contents


def product_checks(_, kernels, __):
    out = [f"// {GENERATED}: whether arguments keep the contract of their kernel.",
           "#pragma once", "", '#include "checks.hpp"', "", "namespace slidekit::kernels::detail {", "namespace {", ""]
    for kernel in kernels:
        shapes, arrays, contents = check_statements(kernel)
        parameters = ", ".join(f"[[maybe_unused]] {p.type} {p.name}" for p in kernel.parameters)
        out.append(f"inline Status check_{kernel.name}({parameters}, [[maybe_unused]] Depth depth = Depth::contents) noexcept {{")
        for statement in shapes + arrays:
            out.append(f"    if (const Status s = {statement}; s != Status::ok) return s;")
        if contents:
            out.append("    if (depth == Depth::sizes) return Status::ok;")
        for statement in contents:
            out.append(f"    if (const Status s = {statement}; s != Status::ok) return s;")
        out += ["    return Status::ok;", "}", ""]
    return "\n".join(out + ["}  // namespace", "}  // namespace slidekit::kernels::detail", ""])


def to_cpp(parameter):
    """The C argument as C++ takes it."""
    if parameter.is_pointer:
        element = re.sub(r"^const |\*$", "", parameter.type).strip()
        if element in CTYPES:
            return parameter.name
        const = "const " if parameter.is_const else ""
        return f"reinterpret_cast<{const}{element}*>({parameter.name})"
    if parameter.is_scalar:
        return parameter.name
    if parameter.type.endswith("&"):
        return f"as<{parameter.value_type}>(*{parameter.name})"
    return f"as<{parameter.value_type}>({parameter.name})"


def product_c_api(_, kernels, structs):
    out = [f"// {GENERATED}: the functions of <slidekit/kernels.h> that call a kernel."]
    for name in closure(kernels, structs):
        matrix = re.fullmatch(r"RowMatrix<(?:const )?(.+)>", name)
        c_name = c_type(name)
        out.append(f"static_assert(sizeof({c_name}) == sizeof({name}) && alignof({c_name}) == alignof({name}));")
        if not matrix:
            for _, field_name, *_ in structs[name].fields:
                out.append(f"static_assert(offsetof({c_name}, {field_name}) == offsetof({name}, {field_name}));")
    for kernel in kernels:
        references = [p for p in kernel.parameters if p.type.endswith("&")]
        arguments = ", ".join(to_cpp(p) for p in kernel.parameters)
        for suffix, depth in (("", "contents"), ("_fast", "sizes")):
            out += ["", c_declaration(kernel.c_name + suffix, c_parameters(kernel)) + " {"]
            for p in references:
                out.append(f"    if ({p.name} == nullptr) return SLIDEKIT_NULL_POINTER;")
            if kernel.result != "void":
                out.append("    if (result == nullptr) return SLIDEKIT_NULL_POINTER;")
            out.append(f"    const Status status = detail::check_{kernel.name}({arguments}, Depth::{depth});")
            out.append("    if (status != Status::ok) return to_c(status);")
            call = f"slidekit::kernels::{kernel.name}({arguments})"
            out.append(f"    {call};" if kernel.result == "void" else f"    *result = {call};")
            out += ["    return SLIDEKIT_OK;", "}"]
    return "\n".join(out + [""])


def argument_lines(kernel):
    """Lines that make each argument, each after what its size needs."""
    lines = []
    made = set()
    sizes = {size: f"sizes[{i}]" for i, size in enumerate(kernel.sizes)}

    def own_sizes(name):
        return ", ".join(value for size, value in sizes.items() if size.startswith(name + "."))

    def leaf(text):
        if text.isdigit():
            return text
        root = text.split(".")[0]
        if text in sizes and root not in made:
            return sizes[text]
        if root not in made and root in {p.name for p in kernel.parameters}:
            raise KeyError(text)
        return f"std::size_t{{{text}}}" if root in made else sizes[text]

    def value(text):
        return plain(text, leaf)

    def order(item):
        return "Order::ascending" if item.ascending else "Order::any"

    def make(p):
        item = kernel.items.get(p.name, Item(p.name))
        kind = "input" if p.is_const else "output"
        fields = {name: text for name, operator, text in item.fields if operator in ("=", ">=")}
        if p.is_plan:
            return f"make.template plan<{p.value_type}>({own_sizes(p.name)})"
        if p.is_pointer:
            if item.layout:
                return f"make.template output<{p.value_type}>({value(item.layout[1])} * {value(item.layout[2])})"
            if item.bounds:
                text = f"make.template below<{p.value_type}>({value(item.count)}, {value(item.bounds[0])}, {order(item)})"
            else:
                role = "scratch" if p.name == "scratch" else "nonnegative" if item.nonnegative else kind
                text = f"make.template {role}<{p.value_type}>({value(item.count)})"
            return f"make.maybe() ? {text} : nullptr" if item.optional else text
        if p.element:
            rows = value(fields.get("rows", f"{p.name}.rows"))
            dim = value(fields.get("dim", f"{p.name}.dim"))
            text = f"make.template {kind}_matrix<{p.element}>({rows}, {dim})"
            return f"make.maybe() ? {text} : {p.value_type}{{}}" if item.optional else text
        if p.value_type == "StridedMatrix":
            return f"make.strided({value(p.name + '.rows')}, {value(p.name + '.columns')})"
        if p.value_type == "SparseView":
            # Of ids without a bound, enough have to meet those of other vectors.
            bound = value(item.bounds[0]) if item.bounds else "4 * (" + " + ".join(sizes.values()) + ")"
            return f"make.sparse({value(p.name + '.nnz')}, {bound}, {order(item)})"
        if p.value_type == "BucketsView":
            return (f"test::buckets_of(make, {value(p.name + '.count')}, {value(p.name + '.total')}, "
                    f"{value(item.bounds[0])})")
        if p.value_type == "GroupsView":
            return (f"make.groups({value(p.name + '.count')}, {value(p.name + '.pairs')}, {value(item.bounds[0])}, "
                    f"{value(item.bounds[1])})")
        if p.value_type == "KeyLayout":
            keys = next(i for i in kernel.items.values() if i.layout and i.layout[0] == p.name)
            return f"make.layout({value(keys.layout[1])}, {value(keys.layout[2])})"
        if p.is_scalar:
            return sizes[p.name] if p.name in sizes else f"make.template scalar<{p.value_type}>()"
        if item.count is not None:
            return f"make.template bias<{p.value_type}>({value(item.count)})"
        if own_sizes(p.name):
            return f"make.template rows<{p.value_type}>({own_sizes(p.name)})"
        return f"make.template options<{p.value_type}>()"

    waiting = list(kernel.parameters)
    while waiting:
        before = len(waiting)
        for p in list(waiting):
            try:
                text = make(p)
            except KeyError:
                continue
            cast = f"static_cast<{p.value_type}>({text})" if p.is_scalar and p.name in sizes else text
            lines.append(f"        const auto {p.name} = {cast};")
            made.add(p.name)
            waiting.remove(p)
        if len(waiting) == before:
            fail(f"kernels.def: {kernel.name}: no shape gives the sizes of {', '.join(p.name for p in waiting)}")
    return lines


def to_c(parameter):
    """The argument of C++ as C takes it."""
    if parameter.is_pointer:
        element = re.sub(r"^const |\*$", "", parameter.type).strip()
        return parameter.name if element in CTYPES else f"reinterpret_cast<{c_type(parameter.type)}>({parameter.name})"
    if parameter.is_scalar:
        return parameter.name
    copied = f"std::bit_cast<{c_type(parameter.value_type)}>({parameter.name})"
    return f"pointer_to({copied})" if parameter.type.endswith("&") else copied


def c_call_lines(kernel):
    parameters = ", ".join(f"{p.type} {p.name}" for p in kernel.parameters)
    arguments = ", ".join(to_c(p) for p in kernel.parameters)
    lines = []
    if kernel.result != "void":
        parameters += f", {kernel.result}* result"
        arguments += ", result"
    for name, suffix in (("checked", ""), ("fast", "_fast")):
        lines += [f"    static slidekit_status {name}({parameters}) {{",
                  f"        return {kernel.c_name}{suffix}({arguments});", "    }"]
    return lines


def product_calls(_, kernels, __):
    out = [f"// {GENERATED}: each kernel's arguments from a maker of arguments, its work and shapes.",
           "#pragma once", "", '#include "argument_structs.hpp"', '#include "kernel_entries.hpp"', "",
           "namespace slidekit::kernels::calls {", ""]
    for kernel in kernels:
        n = len(kernel.sizes)
        ranges = [kernel.ranges.get(size, (0, None)) for size in kernel.sizes]
        shapes = [f"{{Heat::{heat}, \"{' '.join(f'{k}={v}' for k, v in shape.items())}\", "
                  f"{{{', '.join(str(v) for v in shape.values())}}}}}" for heat, shape in kernel.shapes]
        index = {size: f"static_cast<double>(sizes[{i}])" for i, size in enumerate(kernel.sizes)}

        def number(text):
            if text not in index and not text.isdigit():
                fail(f"kernels.def: {kernel.name}: its work speaks of \"{text}\", which its shapes do not give")
            return index.get(text, text + ".0")
        work = [expression(text, number, lambda o, a, b: f"({a} {o} {b})",
                           lambda name, a: f"std::{name}({', '.join(a)})") for text in kernel.work]
        names = ", ".join(p.name for p in kernel.parameters)
        out += [f"struct {kernel.name}_entry {{",
                f"    static constexpr const char* name = \"{kernel.name}\";",
                f"    static constexpr const char* dtype = \"{kernel.dtype}\";",
                f"    static constexpr const char* c_name = \"{kernel.c_name}\";",
                f"    static constexpr const char* unit = \"{kernel.unit}\";",
                f"    static constexpr Agreement agreement = Agreement::{kernel.agreement};",
                f"    static constexpr auto function = &kernels::{kernel.name};",
                f"    static constexpr std::size_t size_count = {n};",
                f"    static constexpr const char* size_names[] = {{{', '.join(chr(34) + s + chr(34) for s in kernel.sizes)}}};",
                f"    static constexpr Limits limits[] = {{"
                + ", ".join(f"{{{low}, {'kNoLimit' if high is None else high}}}" for low, high in ranges) + "};",
                f"    static constexpr Shape<{n}> shapes[] = {{" + ", ".join(shapes) + "};",
                "    static Work work([[maybe_unused]] const std::size_t* sizes) {",
                f"        return {{{', '.join(work)}}};", "    }",
                "    template <class Make>",
                "    static auto call(Make& make, [[maybe_unused]] const std::size_t* sizes) {",
                *argument_lines(kernel),
                f"        return [=](auto&& f) {{ return f({names}); }};", "    }",
                *c_call_lines(kernel), "};", ""]
    out += ["template <class Visit>", "void for_each_kernel(Visit&& visit) {"]
    out += [f"    visit({kernel.name}_entry{{}});" for kernel in kernels]
    return "\n".join(out + ["}", "", "}  // namespace slidekit::kernels::calls", ""])



BEGIN, END = "<!-- catalogue -->\n", "<!-- /catalogue -->"


def product_catalogue(folder, kernels, _, results=None):
    """Measured figures come from the results of scripts/bench.sh kernels; without any, those that stand there stay."""
    head, rest = (folder / "README.md").read_text().split(BEGIN)
    present, tail = rest.split(END)
    speeds = measured(kernels, results) if results else {
        row.split("|")[1].strip(): row.split("|")[-2].strip() for row in present.splitlines() if row.startswith("| `")}
    rows, subject = [], None
    for kernel in kernels:
        if kernel.subject != subject:
            subject = kernel.subject
            rows += ["", f"### {subject}", "",
                     "| kernel | job | arguments | a call moves, computes | levels agree | ns a unit, share of the limit |",
                     "|---|---|---|---|---|---|"]
        sentence = re.split(r"(?<=\S[.;])\s", " ".join(kernel.comment).replace("|", "\\|"))[0].rstrip(";")
        arguments = ", ".join(describe(kernel, item) for item in kernel.items.values())
        agree = {"exact": "bit for bit", "finite": "bit for bit, numbers", "near": "within rounding"}[kernel.agreement]
        name = f"`{kernel.name}` {kernel.dtype}"
        rows.append(f"| {name} | {sentence} | {arguments} | {kernel.work[1]} B, {kernel.work[2]} flop | {agree} "
                    f"| {speeds.get(name, '')} |")
    return head + BEGIN + "\n".join(rows[1:]) + "\n" + END + tail


def measured(kernels, results):
    """{name in the catalogue: what it reached at each shape, at the level that the machine takes}"""
    try:
        report = json.loads(results.read_text())
        level, shapes = report["context"]["level"], bench_table.read(report)
    except (OSError, ValueError, KeyError) as error:
        fail(f"{results}: no report of scripts/bench.sh kernels: {error}")
    units = {f"{kernel.name}_{kernel.dtype}": kernel for kernel in kernels}
    cells = {}
    for (name, heat, shape), functions in shapes.items():
        runs, kernel = functions.get(level), units.get(name)
        if runs is None or runs.complaint or kernel is None:
            continue
        limit = bench_table.limit_of(runs, bench_table.probe_of(functions))
        cells.setdefault(f"`{kernel.name}` {kernel.dtype}", []).append(
            f"{heat} {bench_table.shorten(shape)}: {bench_table.significant(runs.ns)} a {kernel.unit}, {limit}")
    return {name: "; ".join(cell) for name, cell in cells.items()}


def describe(kernel, item):
    text = item.name + ("?" if item.optional else "") + (f"[{item.count}]" if item.count else "")
    if item.bounds:
        text += " < " + ", ".join(item.bounds)
    if item.ascending:
        text += " ascending"
    if item.fields:
        text += " with " + ", ".join(f"{name} {operator} {value}" for name, operator, value in item.fields)
    return f"`{text}`"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("product", choices=["header", "checks", "c_api", "calls", "catalogue"])
    parser.add_argument("output", type=Path, nargs="?")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--results", type=Path, help="of the catalogue: JSON of scripts/bench.sh kernels")
    arguments = parser.parse_args()
    kept = {"header": arguments.folder / "include/slidekit/kernels.h", "catalogue": arguments.folder / "README.md"}
    results = [arguments.results] if arguments.product == "catalogue" else []
    text = globals()["product_" + arguments.product](
        arguments.folder, read_kernels(arguments.folder), read_structs(arguments.folder), *results)
    output = arguments.output or kept.get(arguments.product) or fail(f"{arguments.product}: no output named")
    if arguments.check:
        if not output.exists() or output.read_text() != text:
            sys.exit(f"{output} is not what kernels.def says; run: scripts/kernel_list.py kernels {arguments.product}")
        print(f"{output} is what kernels.def says")
    else:
        output.write_text(text)


if __name__ == "__main__":
    main()
