package server

import (
	"bytes"
	crand "crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
)

// A request is answered under exactly the id that it has. mcp-go parses ids as float64, so that those beyond 2^53 would come back
// changed, and treats 1 and "1" alike. An id that it might change is replaced by an alias on the way in, which is replaced by the
// id again in what is sent. The alias of an id is always the same, so that a cancellation finds its request.

// idAlias is an id and its alias; the zero value: mcp-go repeats the id as it is.
type idAlias struct {
	alias []byte // a JSON string
	id    json.RawMessage
}

// aliasPrefix is the prefix of the aliases of this process, which clients cannot guess.
var aliasPrefix = "runplane-id-" + crand.Text() + "-"

func aliasOf(id json.RawMessage) idAlias {
	if isPlainID(id) {
		return idAlias{}
	}
	return idAlias{alias: []byte(`"` + aliasPrefix + base64.RawURLEncoding.EncodeToString(id) + `"`), id: id}
}

// isPlainID reports whether mcp-go repeats an id byte for byte, and confuses it with no other plain one.
func isPlainID(id json.RawMessage) bool {
	if id[0] != '"' {
		digits := bytes.TrimPrefix(id, []byte("-"))
		return len(digits) <= 15 && string(id) != "-0" && len(bytes.Trim(digits, "0123456789")) == 0
	}
	text := string(id[1 : len(id)-1])
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || strings.IndexByte(`"\\<>&`, c) >= 0 {
			return false
		}
	}
	return strings.Trim(text, "-0123456789") != "" && !strings.HasPrefix(text, aliasPrefix)
}

// aliasIDs replaces what mcp-go handles: the id of a request, and the id in a cancellation.
func (h *envelope) aliasIDs() {
	if h.ID != nil {
		if h.alias = aliasOf(h.ID); h.alias.id != nil {
			h.message = h.rebuilt(h.alias.alias, h.Params)
		}
		return
	}
	if h.Method != string(mcp.MethodNotificationCancelled) {
		return
	}
	var which struct {
		RequestID json.RawMessage `json:"requestId"`
	}
	if json.Unmarshal(h.Params, &which) != nil || len(which.RequestID) == 0 {
		return
	}
	if a := aliasOf(which.RequestID); a.id != nil {
		h.message = h.rebuilt(nil, append(append([]byte(`{"requestId":`), a.alias...), '}'))
	}
}

// restore replaces the alias by the id.
func (a idAlias) restore(message []byte) []byte {
	if a.id == nil {
		return message
	}
	return bytes.ReplaceAll(message, a.alias, a.id)
}
