package plan

import (
	"reflect"
	"testing"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// Every field of the language is read: one that has a type of its own needs a reader.
func TestEveryFieldHasAReader(t *testing.T) {
	for _, of := range []any{
		&schemas.Plan{}, &schemas.Defaults{}, &schemas.Node{}, &schemas.WaitFor{}, &schemas.StateName{}, &schemas.Review{}, &schemas.Workflow{},
		&schemas.Fallback{}, &schemas.Compensate{}, &schemas.OnUnknown{}, &schemas.Verify{}, &schemas.Retry{},
	} {
		object := reflect.ValueOf(of).Elem()
		table := fieldsOf(object.Type())
		if len(table) == 0 {
			t.Errorf("%T has no fields", of)
		}
		for i := range table {
			d := &decoder{lim: DefaultLimits(), out: findings{max: 100}}
			d.field(object, &table[i], &document.Tree{Kind: '"', Raw: `"a.b"`}, "/"+table[i].name)
		}
	}
}
