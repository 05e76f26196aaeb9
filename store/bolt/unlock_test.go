package bolt

import (
	"sync"
	"testing"
)

// After a fault the locks of bbolt are found by their names.
func TestLocksOfBbolt(t *testing.T) {
	s := openMem(t)
	if lockOf[sync.RWMutex](s.db, "mmaplock") == nil || lockOf[sync.Mutex](s.db, "metalock") == nil {
		t.Error("this version of bbolt has other locks: see beginTx in its db.go")
	}
}
