package bolt

import (
	"reflect"
	"sync"
	"unsafe"

	"go.etcd.io/bbolt"
)

// unlockReaders releases the locks with which bbolt begins a read transaction. It reads a meta page while it holds them; if the file was
// cut off at that moment, the fault would leave them locked, and every other reader would wait for ever. The file is broken by then,
// so nothing is read or written any more but what is in flight.
func unlockReaders(db *bbolt.DB) {
	if m := lockOf[sync.RWMutex](db, "mmaplock"); m != nil {
		m.RUnlock()
	}
	if m := lockOf[sync.Mutex](db, "metalock"); m != nil {
		m.Unlock()
	}
}

// lockOf is a lock of bbolt; nil: this version of bbolt has none of that name.
func lockOf[T any](db *bbolt.DB, name string) *T {
	f := reflect.ValueOf(db).Elem().FieldByName(name)
	if !f.IsValid() || f.Type() != reflect.TypeFor[T]() {
		return nil
	}
	return (*T)(unsafe.Pointer(f.UnsafeAddr())) //nolint:gosec // of a field that is a T
}
