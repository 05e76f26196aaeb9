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

// A cursor is where a list goes on: MAC, time of expiry, ID of the last record shown. The MAC binds it to who asked and
// to what he listed; its key is the store's, so that every replica takes the cursors of all. While the store has not told it, a process
// seals with a key of its own: what is known can be listed on, here.
const (
	cursorMAC  = 16
	cursorHead = cursorMAC + 8
	CursorTTL  = 24 * time.Hour
)

const kindSecret = "secret"

// cursorKeys are what cursors are sealed with.
type cursorKeys struct {
	local []byte // of this process alone

	mu     sync.Mutex
	shared []byte // the store's, once it was read
}

func newKey() []byte {
	key := make([]byte, sha256.Size)
	_, _ = crand.Read(key) // never fails
	return key
}

// cursorKey is the store's key; its error is that the store does not give it soon.
func (s *Store) sharedKey(ctx context.Context) ([]byte, error) {
	s.cursors.mu.Lock()
	known := s.cursors.shared
	s.cursors.mu.Unlock()
	if known != nil {
		return known, nil
	}
	var shared []byte
	if _, err := Timed(ctx, func(ctx context.Context) (err error) {
		shared, err = s.readSharedKey(ctx)
		return err
	}); err != nil {
		return nil, Error(err)
	}
	s.cursors.mu.Lock()
	defer s.cursors.mu.Unlock()
	s.cursors.shared = shared
	return shared, nil
}

// sharedKey reads the store's key, and makes it where it is the first to ask.
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

// Cursor seals where a page ended. scope says what is listed.
func (s *Store) Cursor(ctx context.Context, scope, last string) string {
	key, err := s.sharedKey(ctx)
	if err != nil {
		s.log.Warn("the store does not give the key of cursors: this one is good at this process alone", "error", err)
		key = s.cursors.local
	}
	b := make([]byte, cursorHead, cursorHead+len(last))
	binary.BigEndian.PutUint64(b[cursorMAC:], uint64(Now().Add(CursorTTL).Unix()))
	b = append(b, last...)
	copy(b, sign(ctx, key, scope, b[cursorMAC:]))
	return base64.RawURLEncoding.EncodeToString(b)
}

// OpenCursor is what a cursor of the same caller and scope holds; an empty one begins anew.
func (s *Store) OpenCursor(ctx context.Context, tool, scope, cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	wellFormed := err == nil && base64.RawURLEncoding.EncodeToString(b) == cursor && len(b) > cursorHead // not every change of the text changes a byte
	sealedWith := func(key []byte) bool {
		return wellFormed && hmac.Equal(b[:cursorMAC], sign(ctx, key, scope, b[cursorMAC:]))
	}
	ours := sealedWith(s.cursors.local)
	if wellFormed && !ours {
		key, err := s.sharedKey(ctx)
		if err != nil {
			return "", err
		}
		ours = sealedWith(key)
	}
	if !ours || Now().Unix() > int64(binary.BigEndian.Uint64(b[cursorMAC:])) {
		return "", schemas.Errorf(schemas.CodeInvalidArgument, "cursor %.100q is not one that %s gave you for this list within the last day", cursor, tool).WithField("cursor").
			WithHint("pass next_cursor unchanged and with the same filters, or leave cursor out to begin anew")
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
