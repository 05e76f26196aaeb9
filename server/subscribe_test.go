package server

import (
	"errors"
	"testing"
)

// TestRegistryOfSubscriptions: whatever happens while a watch begins, every watch that has begun and is not registered any
// more is stopped, and no other.
func TestRegistryOfSubscriptions(t *testing.T) {
	sub := subscription{uri: "runplane://state/order/1"}
	running := map[string]bool{}
	watch := func(name string, meanwhile func()) func() (func(), error) {
		return func() (func(), error) {
			running[name] = true
			if meanwhile != nil {
				meanwhile()
			}
			return func() { delete(running, name) }, nil
		}
	}
	failed := errors.New("no such state")
	failing := func(meanwhile func()) func() (func(), error) {
		return func() (func(), error) { meanwhile(); return nil, failed }
	}
	nothing := func() {}
	for _, tt := range []struct {
		name string
		do   func(s *subscriptions) error
		want string // the watch that runs then; empty: none
		err  error
	}{
		{"added", func(s *subscriptions) error { return s.add("a", sub, watch("1", nil)) }, "1", nil},
		{"added twice", func(s *subscriptions) error {
			return errors.Join(s.add("a", sub, watch("1", nil)), s.add("a", sub, watch("2", nil)))
		}, "1", nil},
		{"removed", func(s *subscriptions) error {
			err := s.add("a", sub, watch("1", nil))
			s.remove("a", sub)
			return err
		}, "", nil},
		{"removed while it began", func(s *subscriptions) error {
			return s.add("a", sub, watch("1", func() { s.remove("a", sub) }))
		}, "", nil},
		{"removed and added again while it began", func(s *subscriptions) error {
			return s.add("a", sub, watch("1", func() { s.remove("a", sub); _ = s.add("a", sub, watch("2", nil)) }))
		}, "2", nil},
		{"removed and added again while it failed", func(s *subscriptions) error {
			return s.add("a", sub, failing(func() { s.remove("a", sub); _ = s.add("a", sub, watch("2", nil)) }))
		}, "2", failed},
		{"failed", func(s *subscriptions) error { return s.add("a", sub, failing(nothing)) }, "", failed},
		{"the client has gone", func(s *subscriptions) error {
			err := s.add("a", sub, watch("1", nil))
			s.removeAll("a")
			return err
		}, "", nil},
		{"the server of /mcp has ended", func(s *subscriptions) error {
			err := errors.Join(s.add("a", sub, watch("1", nil)), s.add(new(peer), sub, watch("2", nil)))
			s.removeWeb()
			return err
		}, "2", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clear(running)
			s := new(subscriptions)
			if err := tt.do(s); !errors.Is(err, tt.err) {
				t.Errorf("got %v, want %v", err, tt.err)
			}
			if !(len(running) == 1 && running[tt.want]) && !(len(running) == 0 && tt.want == "") {
				t.Errorf("%v run, want %q", running, tt.want)
			}
			if tt.want == "" && len(s.clients) > 0 {
				t.Errorf("%d clients are left", len(s.clients))
			}
		})
	}
}
