package server

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
)

// sameSite reports whether a request with this Origin header, which only browsers send, comes from a page that may call: one that was
// served over HTTP by this machine, or, on an address that other machines reach, by the host itself.
func sameSite(origin, host string, onLoopback bool) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return false
	}
	if u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return false // a browser sends none of them
	}
	if onLoopback {
		return loopback(u.Host)
	}
	return strings.EqualFold(u.Host, host)
}

// ambiguous returns a header that was sent twice with different values although it has one meaning, or "". Another program on the way,
// such as a proxy that routes or filters by it, may have read the other value.
func ambiguous(h http.Header) string {
	for name, values := range h {
		if len(values) < 2 || !strings.HasPrefix(name, "Mcp-") && !slices.Contains(single, name) {
			continue
		}
		for _, v := range values[1:] {
			if v != values[0] {
				return name
			}
		}
	}
	return ""
}

// single are the headers with one value that are not MCP's own.
var single = []string{"Authorization", "Content-Type", "Last-Event-Id"}

// contradicts returns what a header says other than the message, or "". Clients of the stateless protocol must send these headers, and
// mcp-go checks that; others need not.
func contradicts(header http.Header, h *envelope) string {
	if method := header.Get(mcp.HeaderMethod); method != "" && method != h.Method {
		return fmt.Sprintf("the header %s is %.100q, the method of the message is %.100q", mcp.HeaderMethod, method, h.Method)
	}
	sent := header.Get(mcp.HeaderName)
	if sent == "" {
		return ""
	}
	name, decoded := mcp.DecodeHeaderValue(sent)
	if want, ok := mcp.ExtractHeaderName(mcp.MCPMethod(h.Method), h.Params); ok && (!decoded || name != want) {
		return fmt.Sprintf("the header %s is %.100q, the message names %.100q", mcp.HeaderName, sent, want)
	}
	return ""
}

// named reports whether the headers name what the message is about.
func named(header http.Header) bool {
	return header.Get(mcp.HeaderMethod) != "" || header.Get(mcp.HeaderName) != ""
}

// mismatch answers a request whose headers contradict one another or its message; it is not executed.
func mismatch(w http.ResponseWriter, id []byte, what string) {
	answer(w, http.StatusBadRequest, protocolError(id, mcp.HEADER_MISMATCH, what, nil))
}
