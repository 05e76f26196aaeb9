package runtime

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

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// A cursor is where a list goes on: MAC, time of expiry, ID of the last record shown. The MAC binds it to who asked and
// to what he listed; its key is the store's, so that every replica takes the cursors of all.
const (
	cursorMAC  = 16
	cursorHead = cursorMAC + 8
	cursorLife = 24 * time.Hour
)

// cursorKey is the key of all cursors, once it was read.
type cursorKey struct {
	mu  sync.Mutex
	key []byte
}

func (r *Runtime) cursorKey(ctx context.Context) ([]byte, error) {
	r.cursors.mu.Lock()
	defer r.cursors.mu.Unlock()
	if r.cursors.key != nil {
		return r.cursors.key, nil
	}
	at := store.Key{Kind: kindSecret, ID: "cursor"}
	for {
		rec, err := r.store.Get(ctx, at)
		if err == nil {
			r.cursors.key = rec.Value
			return rec.Value, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return nil, storeError(err)
		}
		fresh := make([]byte, sha256.Size)
		_, _ = crand.Read(fresh) // never fails
		if _, err := r.store.Commit(ctx, store.Batch{Puts: []store.Put{{Key: at, Value: fresh}}}); err != nil && !errors.Is(err, store.ErrConflict) {
			return nil, storeError(err)
		}
	}
}

// cursor seals the ID of the last record of a page. scope says what is listed.
func (r *Runtime) cursor(ctx context.Context, scope, last string) (string, error) {
	key, err := r.cursorKey(ctx)
	if err != nil {
		return "", err
	}
	b := make([]byte, cursorHead, cursorHead+len(last))
	binary.BigEndian.PutUint64(b[cursorMAC:], uint64(r.now().Add(cursorLife).Unix()))
	b = append(b, last...)
	copy(b, sign(ctx, key, scope, b[cursorMAC:]))
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// openCursor is the ID that a cursor of the same caller and scope holds; an empty one begins anew.
func (r *Runtime) openCursor(ctx context.Context, tool, scope, cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	key, err := r.cursorKey(ctx)
	if err != nil {
		return "", err
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || base64.RawURLEncoding.EncodeToString(b) != cursor || // not every change of the text changes a byte
		len(b) <= cursorHead || !hmac.Equal(b[:cursorMAC], sign(ctx, key, scope, b[cursorMAC:])) ||
		r.now().Unix() > int64(binary.BigEndian.Uint64(b[cursorMAC:])) {
		return "", schemas.Errorf(schemas.CodeInvalidArgument, "cursor %.100q is not one that %s gave you for this list within the last day", cursor, tool).WithField("cursor").
			WithHint("pass next_cursor unchanged and with the same filters, or leave cursor out to begin anew")
	}
	return string(b[cursorHead:]), nil
}

func sign(ctx context.Context, key []byte, scope string, payload []byte) []byte {
	mac := hmac.New(sha256.New, key)
	caller := CallerFrom(ctx).Principal
	_, _ = fmt.Fprintf(mac, "%d %s %d %s ", len(caller), caller, len(scope), scope) // writing to a hash never fails
	_, _ = mac.Write(payload)
	return mac.Sum(nil)[:cursorMAC]
}
