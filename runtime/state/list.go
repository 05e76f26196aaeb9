package state

import (
	"context"
	"encoding/json"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// Query selects states of one type. Filters are members that the data must have, with these values; its member context holds
// members that the context must have. A Limit of 0 is the default, 20.
type Query struct {
	Type    string
	Filters schemas.Object
	Limit   int
	Cursor  string
}

// filter is the parsed Filters of a Query: members of the data and of the context.
type filter struct{ data, context schemas.Object }

func parseFilters(filters schemas.Object) (f filter, err error) {
	members := map[string]json.RawMessage{}
	if len(filters) > 0 {
		if err := json.Unmarshal(filters, &members); err != nil {
			return f, schemas.Errorf(schemas.CodeInvalidArgument, "filters is not a JSON object").WithField("filters")
		}
	}
	if about, ok := members["context"]; ok {
		if err := f.context.UnmarshalJSON(about); err != nil {
			return f, schemas.Errorf(schemas.CodeInvalidArgument, "context of the filters is not an object, such as {\"session_id\": …}").
				WithField("filters/context")
		}
		delete(members, "context")
	}
	if len(members) > 0 {
		f.data, err = schemas.Encode(members)
	}
	return f, err
}

func (f filter) matches(s schemas.State) bool {
	return schemas.Matches(f.data, s.StateData) && schemas.Matches(f.context, s.Context)
}

// List lists the caller's states of one type, by key; sessions and executions are listed newest first.
func (s *States) List(ctx context.Context, q Query) (schemas.StateList, error) {
	if err := (Ref{Type: q.Type, Key: "any"}).check(); err != nil {
		return schemas.StateList{}, err
	}
	f, err := parseFilters(q.Filters)
	if err != nil {
		return schemas.StateList{}, err
	}
	l := records.Listing{Tool: "list_states", Limit: q.Limit, Cursor: q.Cursor}
	var read func(store.Record) (schemas.State, bool, error)
	if v, ok := s.views[q.Type]; ok {
		l.Query = v.Query(ctx)
		read = func(rec store.Record) (schemas.State, bool, error) { return v.Read(ctx, rec) }
	} else {
		l.Query = store.Query{Kind: Kind, Prefix: records.Private(caller.From(ctx).Principal, q.Type)}
		id, err := sessionOf(f.context)
		if err != nil {
			return schemas.StateList{}, err
		}
		if id != "" {
			s.sessions.Touch(ctx, id)
			l.Query.Term = session.Term(id)
		}
		now := s.store.Now()
		read = func(rec store.Record) (schemas.State, bool, error) {
			st, err := decode(rec)
			return st.view(q.Type), st.Exists(now), err
		}
	}
	page, next, err := records.List(ctx, s.store, l, func(rec store.Record) (schemas.State, bool, error) {
		st, visible, err := read(rec)
		return st, visible && err == nil && f.matches(st), err
	})
	return schemas.StateList{States: page, NextCursor: next}, err
}
