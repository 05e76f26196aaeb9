package records

import (
	"context"
	"crypto/hmac"
	crand "crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// A cursor is the place where a list continues: MAC, time of expiry, ID of the last record shown. The MAC binds it to the caller and to
// what was listed; its key is in the store, so that every replica accepts the cursors of all others. While the store does not answer, a
// process signs with a key of its own, and the list can be continued in that process only.
const (
	cursorMAC  = 16
	cursorHead = cursorMAC + 8
)

// CursorTTL is how long a cursor is valid.
const CursorTTL = 24 * time.Hour

const kindSecret = "secret"

// cursorKeys are the keys that cursors are signed with.
type cursorKeys struct {
	local []byte // of this process only

	mu     sync.Mutex
	shared []byte // from the store; nil until it was read
}

func newKey() []byte {
	key := make([]byte, sha256.Size)
	_, _ = crand.Read(key) // never fails
	return key
}

// sharedKey returns the key of all replicas, or an error if the store does not answer within AnswerTimeout.
func (s *Store) sharedKey(ctx context.Context) ([]byte, error) {
	s.cursors.mu.Lock()
	cached := s.cursors.shared
	s.cursors.mu.Unlock()
	if cached != nil {
		return cached, nil
	}
	var shared []byte
	if _, err := Timed(ctx, func(ctx context.Context) (err error) {
		shared, err = s.readSharedKey(ctx)
		return err
	}); err != nil {
		return nil, StoreError(err)
	}
	s.cursors.mu.Lock()
	defer s.cursors.mu.Unlock()
	s.cursors.shared = shared
	return shared, nil
}

// readSharedKey reads the key from the store, and makes one if there is none.
func (s *Store) readSharedKey(ctx context.Context) ([]byte, error) {
	at := store.Key{Kind: kindSecret, ID: "cursor"}
	for {
		rec, err := s.Get(ctx, at)
		if err == nil {
			return rec.Value, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if _, err := s.Commit(ctx, store.Batch{Puts: []store.Put{{Key: at, Value: newKey()}}}); err != nil && !errors.Is(err, store.ErrConflict) {
			return nil, err
		}
	}
}

// Cursor returns the cursor of a page that ended with the record last. scope says what is listed.
func (s *Store) Cursor(ctx context.Context, scope, last string) string {
	key, err := s.sharedKey(ctx)
	if err != nil {
		s.log.Warn("read the key of cursors: this cursor is valid in this process only", "error", err)
		key = s.cursors.local
	}
	b := make([]byte, cursorHead, cursorHead+len(last))
	binary.BigEndian.PutUint64(b[cursorMAC:], uint64(Now().Add(CursorTTL).Unix()))
	b = append(b, last...)
	copy(b, sign(ctx, key, scope, b[cursorMAC:]))
	return base64.RawURLEncoding.EncodeToString(b)
}

// OpenCursor returns the last record of the page before, from a cursor of the same caller and scope; "" for an empty cursor, which
// starts at the beginning. tool is named in the error of a cursor that is invalid or has expired.
func (s *Store) OpenCursor(ctx context.Context, tool, scope, cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	// Not every change of the text changes a byte.
	wellFormed := err == nil && base64.RawURLEncoding.EncodeToString(b) == cursor && len(b) > cursorHead
	signedWith := func(key []byte) bool {
		return wellFormed && hmac.Equal(b[:cursorMAC], sign(ctx, key, scope, b[cursorMAC:]))
	}
	valid := signedWith(s.cursors.local)
	if wellFormed && !valid {
		key, err := s.sharedKey(ctx)
		if err != nil {
			return "", err
		}
		valid = signedWith(key)
	}
	if !valid || Now().Unix() > int64(binary.BigEndian.Uint64(b[cursorMAC:])) {
		return "", schemas.Errorf(schemas.CodeInvalidArgument, "invalid cursor %.100q: %s did not return it for this list in the last day",
			cursor, tool).WithField("cursor").
			WithHint("pass next_cursor unchanged and with the same filters, or leave cursor out to start at the beginning")
	}
	return string(b[cursorHead:]), nil
}

func sign(ctx context.Context, key []byte, scope string, payload []byte) []byte {
	mac := hmac.New(sha256.New, key)
	caller := caller.From(ctx).Principal
	_, _ = fmt.Fprintf(mac, "%d %s %d %s ", len(caller), caller, len(scope), scope) // writing to a hash never fails
	_, _ = mac.Write(payload)
	return mac.Sum(nil)[:cursorMAC]
}
