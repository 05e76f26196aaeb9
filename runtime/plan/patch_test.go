package plan

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// applyFixes applies the fixes of findings to a plan in order, as RFC 6902 says.
func applyFixes(t testing.TB, source []byte, found []schemas.Finding) []byte {
	t.Helper()
	d := &decoder{lim: DefaultLimits(), out: findings{max: 10}}
	doc := d.read(context.Background(), source, textsInTexts)
	if doc == nil {
		t.Fatalf("no plan to fix: %v", d.out.list)
	}
	root := doc.Tree
	for _, f := range found {
		for _, op := range f.Fix {
			if err := applyOp(&root, op); err != nil {
				t.Fatalf("fix of %s at %s: %v: %v", f.Code, f.Path, op, err)
			}
		}
	}
	return root.AppendTo(nil)
}

func applyOp(root *document.Tree, op schemas.PatchOp) error {
	var value document.Tree
	switch op.Op {
	case "move":
		moved := root.Find(op.From)
		if moved == nil {
			return fmt.Errorf("nothing at %s", op.From)
		}
		value = *moved
		if err := edit(root, op.From, "remove", document.Tree{}); err != nil {
			return err
		}
		return edit(root, op.Path, "add", value)
	case "add", "replace":
		var err error
		if value, err = document.Parse(string(op.Value)); err != nil {
			return err
		}
	}
	return edit(root, op.Path, op.Op, value)
}

func edit(root *document.Tree, pointer, op string, value document.Tree) error {
	if pointer == "" { // the whole
		*root = value
		return nil
	}
	parent, name := schemas.SplitPointer(pointer)
	holder := root.Find(parent)
	switch {
	case holder == nil:
		return fmt.Errorf("nothing at %s", parent)
	case holder.Kind == '[':
		i, err := strconv.Atoi(name)
		switch {
		case err != nil || i > len(holder.Items) || i == len(holder.Items) && op != "add":
			return fmt.Errorf("no item %s", pointer)
		case op == "add":
			holder.Items = append(holder.Items[:i:i], append([]document.Tree{value}, holder.Items[i:]...)...)
		case op == "remove":
			holder.Items = append(holder.Items[:i:i], holder.Items[i+1:]...)
		default:
			holder.Items[i] = value
		}
		return nil
	case holder.Kind != '{':
		return fmt.Errorf("%s is inside a value", pointer)
	case op != "add" && holder.Get(name) == nil:
		return fmt.Errorf("nothing at %s", pointer)
	case op == "remove":
		holder.Drop(name)
	default:
		holder.Put(name, value)
	}
	return nil
}

func TestApplyOp(t *testing.T) {
	for _, tt := range []struct{ before, op, after string }{
		{`{"a":[1,2]}`, `{"op":"add","path":"/a/1","value":9}`, `{"a":[1,9,2]}`},
		{`{"a":[1,2]}`, `{"op":"remove","path":"/a/0"}`, `{"a":[2]}`},
		{`{"a":{"b":1}}`, `{"op":"move","from":"/a/b","path":"/c"}`, `{"a":{},"c":1}`},
		{`[1]`, `{"op":"replace","path":"","value":{"a":[1]}}`, `{"a":[1]}`},
		{`{"a/b":1}`, `{"op":"replace","path":"/a~1b","value":2}`, `{"a/b":2}`},
	} {
		root, err := document.Parse(tt.before)
		if err != nil {
			t.Fatal(err)
		}
		var op schemas.PatchOp
		if err := json.Unmarshal([]byte(tt.op), &op); err != nil {
			t.Fatal(err)
		}
		if err := applyOp(&root, op); err != nil || string(root.AppendTo(nil)) != tt.after {
			t.Errorf("%s: got %s, %v, want %s", tt.op, root.AppendTo(nil), err, tt.after)
		}
	}
}
