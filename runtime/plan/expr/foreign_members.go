package expr

import "slices"

// constants are the names of values in other languages.
var constants = map[string]string{
	"True": "true", "False": "false", "None": "null", "nil": "null", "NULL": "null", "Null": "null", "undefined": "null",
	"TRUE": "true", "FALSE": "false",
}

// member translates names and what follows them.
func (r *rewriter) member(t *tree) *tree {
	if t.op == "." && !t.optional && slices.Contains(counting, t.text) {
		if out := r.length(t); out != nil {
			return out
		}
	}
	root, steps, ok := t.chain()
	switch {
	case ok && slices.Contains(r.bound, root):
		if root == "@" {
			return r.variable(t)
		}
		return t
	case ok && len(steps) == 0 && constants[root] != "":
		r.say(root + " is written " + constants[root])
		return leaf("name", constants[root])
	case ok && (root == "true" || root == "false" || root == "null"):
		return t
	case ok:
		return r.reference(t, root, steps)
	}
	if t.op == "[]" {
		if out := r.fromEnd(t); out != nil {
			return out
		}
	}
	of := r.link(t.kids[0])
	if found := t.kids[0]; found.op == "()" && found.text == "find" && of.op == "[]" && of.kids[0].op == "+" {
		of.kids[0] = of.kids[0].kids[0] // a member of nothing is an error there, too
	}
	if each := t.kids[0]; selects(each) || of.op == "()" && of.text == "map" && r.projection(each) {
		return r.project(t, of, selects(each))
	}
	out := *t
	out.kids = []*tree{of}
	if t.op == "[]" {
		out.kids = append(out.kids, r.tree(t.kids[1]))
	}
	return &out
}

// variable replaces @ of JSONPath.
func (r *rewriter) variable(t *tree) *tree {
	out := *t
	out.made = true
	if t.op == "name" {
		out.text = "x"
		return &out
	}
	out.kids = append([]*tree{r.variable(t.kids[0])}, t.kids[1:]...)
	return &out
}

// projection reports whether a tree is a member of all items, a[*].b.
func (r *rewriter) projection(t *tree) bool {
	for t.op == "." || t.op == "[]" {
		t = t.kids[0]
		if selects(t) {
			return true
		}
	}
	return false
}

// selects reports whether a tree stands for all items of a list, or for some, whose members follow.
func selects(t *tree) bool { return t.op == "[*]" || t.op == "[?]" }

// project takes a member of each item.
func (r *rewriter) project(t, of *tree, first bool) *tree {
	r.say("a member of each item is written l.map(x, x.b)")
	step := remade(t)
	step.kids = slices.Clone(t.kids)
	if first {
		step.kids[0] = leaf("name", "x")
		return method(of, "map", leaf("name", "x"), step)
	}
	step.kids[0] = of.kids[2]
	return method(of.kids[0], "map", of.kids[1], step)
}

// reference translates a name with constant steps.
func (r *rewriter) reference(t *tree, root string, steps []Step) *tree {
	ref := r.names.Reference(root, steps)
	if ref.Code != "" && r.Code == "" {
		r.Code = ref.Code
	}
	if ref.Stuck != "" {
		r.lost(ref.Stuck)
		return t
	}
	if ref.Doubt != "" {
		r.Doubt = appendOnce(r.Doubt, ref.Doubt)
	}
	r.Reads = append(r.Reads, ref.Path)
	if !ref.Changed && !(r.plain && isRoot(root) && t.written()) {
		return t
	}
	if ref.Changed {
		r.say(ref.Say)
	}
	out := pathTree(ref.Path)
	for a, b := out, t; len(a.kids) > 0 && len(b.kids) > 0; a, b = a.kids[0], b.kids[0] {
		a.safe, a.optional = b.safe, b.optional
	}
	return out
}

// written reports whether a chain has a name in brackets, and no marks.
func (t *tree) written() bool {
	brackets := false
	for ; t.op == "." || t.op == "[]"; t = t.kids[0] {
		if t.safe || t.optional {
			return false
		}
		if name, ok := t.kids[len(t.kids)-1].constant(); t.op == "[]" && ok && IsName(name) {
			brackets = true
		}
	}
	return brackets
}
