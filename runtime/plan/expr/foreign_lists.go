package expr

import (
	"slices"
	"strconv"
	"strings"
)

// counting are the members by which other languages ask how many items there are.
var counting = []string{"length", "size", "count"}

// Counts reports whether the last step of a path asks, elsewhere, how many items there are.
func Counts(p Path) bool {
	return len(p.Steps) > 0 && slices.Contains(counting, p.Steps[len(p.Steps)-1].Key)
}

// length translates a.length where a is known to be no object with that member.
func (r *rewriter) length(t *tree) *tree {
	if t.safe {
		return nil
	}
	of := r.tree(t.kids[0])
	root, steps, ok := of.chain()
	plain := ok && !slices.Contains(r.bound, root)
	if plain {
		if ref := r.names.Reference(root, append(slices.Clone(steps), Step{Key: t.text, Index: -1})); r.names.Type(ref.Path) != "" {
			return nil // it is declared
		}
	}
	kind := r.typeOf(of)
	switch {
	case kind == "array" || kind == "string":
	case t.text != "length" || kind != "":
		return nil
	case len(steps) > 0 && manyOf(steps[len(steps)-1].Key):
		r.Guessed = true
	case plain && (!isRoot(root) || len(steps) == 0), slices.Contains(r.bound, root) && len(steps) == 0:
		return nil
	default:
		r.Doubt = appendOnce(r.Doubt, "the length of a list or a text is size(…), a.length reads a member with that name")
		return nil
	}
	r.say("a." + t.text + " is written size(a)")
	size := made("()", nil, of)
	size.text = "size"
	return size
}

// manyOf reports whether a name is a plural, as those of lists are.
func manyOf(name string) bool {
	return len(name) > 3 && name[len(name)-1] == 's' && !strings.ContainsRune("sui", rune(name[len(name)-2]))
}

// fromEnd translates a[-1].
func (r *rewriter) fromEnd(t *tree) *tree {
	key := t.kids[1]
	if key.op != "-" || len(key.kids) != 1 || key.kids[0].op != "literal" {
		return nil
	}
	if n, err := strconv.Atoi(key.kids[0].text); err != nil || n < 1 {
		return nil
	}
	of := r.tree(t.kids[0])
	if kind := r.typeOf(of); kind != "" && kind != "array" {
		return nil
	}
	r.say("items are counted from the end with a[size(a) - 1]")
	size := made("()", nil, of)
	size.text = "size"
	return made("[]", of, made("-", size, key.kids[0]))
}

// slice translates a[1:3], which ends where the list or the text does.
func (r *rewriter) slice(t *tree) *tree {
	of := r.tree(t.kids[0])
	name := map[string]string{"array": "slice", "string": "substring"}[r.typeOf(of)]
	if _, steps, ok := of.chain(); name == "" && ok && len(steps) > 0 && manyOf(steps[len(steps)-1].Key) {
		name, r.Guessed = "slice", true
	}
	bounds := []*tree{leaf("literal", "0"), nil}
	size := made("()", nil, of)
	size.text = "size"
	bounds[1] = size
	for i, b := range t.kids[1:] {
		if b == nil {
			continue
		}
		if b.op != "literal" {
			name = ""
			break
		}
		bounds[i] = method(leaf("name", "math"), "least", b, size)
	}
	if name == "" {
		r.lost("a part of a list is l.slice(1, 3), of a text s.substring(1, 3), and both numbers lie within it")
		return r.inside(t)
	}
	if f := t.kids[1]; f != nil && f.text == "0" {
		bounds[0] = f
	}
	r.say("a[i:j] is written a." + name + "(i, j), where both lie within it")
	return method(of, name, bounds...)
}

// spread translates [...a, b].
func (r *rewriter) spread(t *tree) *tree {
	var sum *tree
	var items []*tree
	add := func(list *tree) {
		if sum == nil {
			sum = list
		} else {
			sum = made("+", sum, list)
		}
	}
	for _, k := range t.kids {
		if k.op != "..." {
			items = append(items, k)
			continue
		}
		if len(items) > 0 {
			add(r.inside(remade(&tree{op: "list", kids: items})))
			items = nil
		}
		add(r.tree(k.kids[0]))
	}
	if sum == nil {
		return r.inside(t)
	}
	if len(items) > 0 {
		add(r.inside(remade(&tree{op: "list", kids: items})))
	}
	r.say("lists are joined with a + b")
	return sum
}

// ofEach translates a path through a list, which JSONata takes as the members of all its items.
func (r *rewriter) ofEach(t *tree) *tree {
	root, steps, ok := t.chain()
	if !ok || slices.Contains(r.bound, root) {
		return t
	}
	for i := 1; i < len(steps); i++ {
		ref := r.names.Reference(root, steps[:i])
		if steps[i].Index >= 0 || ref.Stuck != "" || r.names.Type(ref.Path) != "array" {
			continue
		}
		x := leaf("name", "x")
		return method(pathTree(ref.Path), "map", x, pathTree(Path{Root: "x", Steps: steps[i:]}))
	}
	return t
}
