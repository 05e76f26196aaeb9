package plan

import (
	"encoding/json"
	"reflect"
	"strings"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// decoder reads the tree of a plan into its canonical form.
type decoder struct {
	lim    Limits
	out    findings
	count  int             // nodes so far, those within nodes too
	named  map[string]bool // ids of nodes, in lower case
	depth  int             // plans around the one that is read
	blind  bool            // the nodes could not be read: without them the rest cannot be checked
	strays []schemas.Stray // of the node that is read
}

func (d *decoder) plan(t *document.Tree) *schemas.Plan {
	p := new(schemas.Plan)
	d.fields(p, t, "", "the plan")
	if t.Get("plan") == nil {
		d.out.warnf(codeMissingVersion, "", "the plan does not say its version; taken as plan: v1").Fix =
			[]schemas.PatchOp{opAdd("/plan", json.RawMessage(`"v1"`))}
		p.Version = schemas.PlanVersion
	}
	if d.blind || t.Get("nodes") == nil && d.out.errors > 0 {
		return nil
	}
	return p
}

// fields reads an object into a struct. An unknown field near a known one that is absent is taken for it, so that one
// slip is one finding.
func (d *decoder) fields(to any, t *document.Tree, at, what string) {
	if t.Kind != '{' {
		d.wrong(t, at, "an object")
		return
	}
	object := reflect.ValueOf(to).Elem()
	table := fieldsOf(object.Type())
	if kind := objectKind(object.Type()); kind == "plan" {
		d.arrows(t, at)
		d.onLimitInside(t, at)
	}
	d.foreign(t, table, objectKind(object.Type()), at, what)
	if n, ok := to.(*schemas.Node); ok {
		n.Strays, d.strays = d.strays, nil
	}
	for i := range t.Names {
		f := findField(table, t.Names[i])
		if f == nil {
			name := d.unknownField(t, t.Names[i], at, what, fieldNames(table))
			if f = findField(table, name); f == nil {
				continue
			}
		}
		if t.Items[i].Kind == 'n' && !takesNull[f.name] {
			continue // null counts as absent
		}
		d.field(object, f, &t.Items[i], schemas.PointerTo(at, f.name))
		if d.out.full() {
			return
		}
	}
}

func findField(table []field, name string) *field {
	for i := range table {
		if table[i].name == name {
			return &table[i]
		}
	}
	return nil
}

func fieldNames(table []field) []string {
	names := make([]string, len(table))
	for i := range table {
		names[i] = table[i].name
	}
	return names
}

// unknownField reports a field and returns the one that it is a misspelling of, if any. A field whose meaning is not known is not taken out:
// its author may have meant something by it.
func (d *decoder) unknownField(t *document.Tree, name, at, what string, known []string) string {
	where := schemas.PointerTo(at, name)
	near := schemas.Nearest(name, known, 1)
	if len(near) == 0 {
		d.out.errorf(codeUnknownField, where, "%s has no field %q; it has %s. Say it with these, or take it out if it means nothing to a run",
			what, expr.Shorten(name), strings.Join(known, ", "))
		return ""
	}
	f := d.out.errorf(codeUnknownField, where, "%s has no field %q; did you mean %q?", what, expr.Shorten(name), near[0])
	if t.Get(near[0]) != nil {
		f.Message += " It is given as well; keep one of them"
		return ""
	}
	if !schemas.Misspelt(name, near[0]) {
		return ""
	}
	f.Fix = []schemas.PatchOp{opMove(where, schemas.PointerTo(at, near[0]))}
	return near[0]
}

// wrong reports a value of the wrong type.
func (d *decoder) wrong(v *document.Tree, at, want string) *schemas.Finding {
	return d.out.errorf(codeWrongType, at, "%s must be %s, got %s", lastPart(at), want, v.TypeName())
}

func lastPart(at string) string {
	if at == "" {
		return "the plan"
	}
	_, name := schemas.SplitPointer(at)
	return name
}
