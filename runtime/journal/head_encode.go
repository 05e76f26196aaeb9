package journal

import "github.com/runplane/runplane/schemas"

// AppendJSON appends the head to dst as [schemas.Encode] would. See [schemas.Event.AppendJSON].
func (h *Head) AppendJSON(dst []byte) ([]byte, error) {
	if h.unusual() {
		return schemas.AppendEncoded(dst, h)
	}
	o := schemas.ObjectIn(dst)
	o.Text("execution_id", h.ExecutionID)
	o.TextUnlessEmpty("name", h.Name)
	o.Text("status", string(h.Status))
	o.Time("created_at", h.CreatedAt)
	if h.StartedAt != nil {
		o.Time("started_at", *h.StartedAt)
	}
	o.Int("priority", int64(h.Priority))
	o.TextUnlessEmpty("session_id", h.SessionID)
	o.TextUnlessEmpty("parent_id", h.ParentID)
	o.Progress("progress", &h.Progress)
	o.Text("principal", h.Principal)
	o.Int("seq", h.Seq)
	o.Int("snapshot", h.Snapshot)
	o.Int("tail", int64(h.Tail))
	o.IntUnlessZero("snapshot_bytes", int64(h.SnapshotBytes))
	if !h.TreeSince.IsZero() {
		o.Time("tree_since", h.TreeSince)
	}
	o.TextUnlessEmpty("worker", h.Worker)
	o.IntUnlessZero("items", int64(h.Items))
	if !h.Due.IsZero() {
		o.Time("due", h.Due)
	}
	return o.End()
}

// unusual reports whether the head has a member that AppendJSON does not write by hand.
func (h *Head) unusual() bool {
	return h.Waiting || h.Reason != "" || h.FinishedAt != nil || h.RerunOf != "" || h.Workflow != "" || h.ScheduledAt != nil || len(h.Output) > 0 ||
		h.OutputRef != nil || h.Degraded || h.Error != nil || len(h.WaitingFor) > 0 || len(h.Nodes) > 0 || h.More != nil || h.Earlier || h.Hint != "" || h.WaitedSeconds != 0 ||
		h.Hops != 0 || h.CalledBy != "" || h.Used != nil || h.Evaluating != nil || h.Deaths != 0 || h.Unread || h.WithParent ||
		len(h.Awaits) > 0 || h.Deleted
}
