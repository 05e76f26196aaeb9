package plan

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"

	"github.com/runplane/runplane/schemas"
)

// applyFixes applies the fixes of findings to a plan in order, as RFC 6902 says.
func applyFixes(t testing.TB, source []byte, found []schemas.Finding) []byte {
	t.Helper()
	d := &decoder{lim: DefaultLimits(), out: findings{max: 10}}
	root, ok := d.read(source, true)
	if !ok {
		t.Fatalf("no plan to fix: %v", d.out.list)
	}
	for _, f := range found {
		for _, op := range f.Fix {
			if err := applyOp(&root, op); err != nil {
				t.Fatalf("fix of %s at %s: %v: %v", f.Code, f.Path, op, err)
			}
		}
	}
	return root.appendTo(nil)
}

func applyOp(root *tree, op schemas.PatchOp) error {
	var value tree
	switch op.Op {
	case "move":
		moved := root.find(op.From)
		if moved == nil {
			return fmt.Errorf("nothing at %s", op.From)
		}
		value = *moved
		if err := edit(root, op.From, "remove", tree{}); err != nil {
			return err
		}
		return edit(root, op.Path, "add", value)
	case "add", "replace":
		var err error
		if value, err = parseTree(string(op.Value)); err != nil {
			return err
		}
	}
	return edit(root, op.Path, op.Op, value)
}

func edit(root *tree, pointer, op string, value tree) error {
	parent, name := schemas.SplitPointer(pointer)
	holder := root.find(parent)
	switch {
	case holder == nil:
		return fmt.Errorf("nothing at %s", parent)
	case holder.kind == '[':
		i, err := strconv.Atoi(name)
		switch {
		case err != nil || i > len(holder.items) || i == len(holder.items) && op != "add":
			return fmt.Errorf("no item %s", pointer)
		case op == "add":
			holder.items = append(holder.items[:i:i], append([]tree{value}, holder.items[i:]...)...)
		case op == "remove":
			holder.items = append(holder.items[:i:i], holder.items[i+1:]...)
		default:
			holder.items[i] = value
		}
		return nil
	case holder.kind != '{':
		return fmt.Errorf("%s is inside a value", pointer)
	case op != "add" && holder.get(name) == nil:
		return fmt.Errorf("nothing at %s", pointer)
	case op == "remove":
		holder.drop(name)
	default:
		holder.put(name, value)
	}
	return nil
}

func TestApplyOp(t *testing.T) {
	for _, tt := range []struct{ before, op, after string }{
		{`{"a":[1,2]}`, `{"op":"add","path":"/a/1","value":9}`, `{"a":[1,9,2]}`},
		{`{"a":[1,2]}`, `{"op":"remove","path":"/a/0"}`, `{"a":[2]}`},
		{`{"a":{"b":1}}`, `{"op":"move","from":"/a/b","path":"/c"}`, `{"a":{},"c":1}`},
		{`{"a/b":1}`, `{"op":"replace","path":"/a~1b","value":2}`, `{"a/b":2}`},
	} {
		root, err := parseTree(tt.before)
		if err != nil {
			t.Fatal(err)
		}
		var op schemas.PatchOp
		if err := json.Unmarshal([]byte(tt.op), &op); err != nil {
			t.Fatal(err)
		}
		if err := applyOp(&root, op); err != nil || string(root.appendTo(nil)) != tt.after {
			t.Errorf("%s: got %s, %v, want %s", tt.op, root.appendTo(nil), err, tt.after)
		}
	}
}
