package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/tools"
)

// door is a transport: ask sends one message and returns the line that answers it.
type door struct {
	name string
	open func(t *testing.T, s *Server) (ask func(message string) string)
}

var doors = []door{
	{"stdio", func(t *testing.T, s *Server) func(string) string {
		c := dial(t.Context(), t, s)
		return func(message string) string {
			t.Helper()
			c.send("%s", message)
			l, err := c.out.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			return strings.TrimSuffix(l, "\n")
		}
	}},
	{"HTTP", func(t *testing.T, s *Server) func(string) string {
		url, _, _ := serveHTTP(t, s)
		var session string
		post(t, url+"/mcp", &session, both, strings.SplitN(hello, "\n", 2)[0])
		return func(message string) string {
			t.Helper()
			_, _, lines := post(t, url+"/mcp", &session, both, message)
			if len(lines) != 1 {
				t.Fatalf("answer is %q", lines)
			}
			return lines[0]
		}
	}},
	{"SSE", func(t *testing.T, s *Server) func(string) string {
		url, _, _ := serveHTTP(t, s)
		next := openSSE(t, url)
		address, none := url+next(), ""
		return func(message string) string {
			t.Helper()
			if status, _, lines := post(t, address, &none, both, message); status != http.StatusAccepted {
				t.Fatalf("posted with %d %q", status, lines)
			}
			return next()
		}
	}},
}

// openSSE returns a function that returns the data of the next event.
func openSSE(t *testing.T, url string) (next func() string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/sse", nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Body.Close() })
	events := bufio.NewReader(a.Body)
	return func() string {
		t.Helper()
		for {
			l, err := events.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if data, ok := strings.CutPrefix(strings.TrimSpace(l), "data: "); ok {
				return data
			}
		}
	}
}

// strict parses a line as a strict client does: UTF-8, without halves of characters, and every number within reach.
func strict(t *testing.T, line string) (r received) {
	t.Helper()
	if !utf8.ValidString(line) {
		t.Fatalf("the answer is not UTF-8: %q", line)
	}
	if flaw := schemas.FindFlaw([]byte(line), 500); flaw != nil {
		t.Fatalf("the answer has a flaw, %+v: %.300s", flaw, line)
	}
	return parse(t, []byte(line))
}

func deep(levels int) string {
	return strings.Repeat("[", levels) + strings.Repeat("]", levels)
}

// hostile is what no value in a message may contain.
var hostile = []struct{ name, json, says string }{
	{"bytes", "\"A\xff\xfeB\"", "0xff is not UTF-8"},
	{"a character cut off", "\"\xe2\x82\"", "0xe2 is not UTF-8"},
	{"too long a form", "\"\xc0\xaf\"", "0xc0 is not UTF-8"},
	{"an encoded surrogate", "\"\xed\xa0\x80\"", "0xed is not UTF-8"},
	{"half a character", `"\ud800"`, `\ud800 is one half`},
	{"half a character in a name", `{"\udfff":1}`, `\udfff is one half`},
	{"bytes in a name", "{\"\xff\":1}", "0xff is not UTF-8"},
	{"a name twice", `{"a":1,"a":2}`, `the name "a" twice`},
	{"a name twice, once escaped", `{"a":1,"\u0061":2}`, `the name "a" twice`},
	{"a number too large", `1e999999`, "1e999999 is beyond"},
	{"a million digits", strings.Repeat("9", 1_000_000), "1000000 characters"},
	{"9,000 levels", deep(9000), "deeper than 100 levels"},
	{"20,000 levels", deep(20_000), "deeper than 100 levels"},
}

func TestBadBytesAreRefusedAtEveryDoor(t *testing.T) {
	places := []struct {
		name, message string // with %s
		result        bool   // the model gets the error
		id            string // of the answer; empty: that of the message
	}{
		{"arguments of a call", `{"jsonrpc":"2.0","id":%ID,"method":"tools/call","params":{"name":"zebra","arguments":{"n":%s}}}`, true, ""},
		{"the meta of a call", `{"jsonrpc":"2.0","id":%ID,"method":"tools/call","params":{"name":"zebra","_meta":{"x":%s}}}`, false, ""},
		{"the name of a tool", `{"jsonrpc":"2.0","id":%ID,"method":"tools/call","params":{"name":%s}}`, false, ""},
		{"arguments of a prompt", `{"jsonrpc":"2.0","id":%ID,"method":"prompts/get","params":{"name":"x","arguments":{"a":%s}}}`, false, ""},
		{"a resource", `{"jsonrpc":"2.0","id":%ID,"method":"resources/read","params":{"uri":%s}}`, false, ""},
		{"a subscription", `{"jsonrpc":"2.0","id":%ID,"method":"resources/subscribe","params":{"uri":%s}}`, false, ""},
		{"a completion", `{"jsonrpc":"2.0","id":%ID,"method":"completion/complete","params":{"argument":{"name":"a","value":%s}}}`, false, ""},
		{"initialize", `{"jsonrpc":"2.0","id":%ID,"method":"initialize","params":{"clientInfo":{"name":%s}}}`, false, ""},
		{"beside the params", `{"jsonrpc":"2.0","id":%ID,"extra":%s,"method":"ping"}`, false, ""},
		{"the method", `{"jsonrpc":"2.0","id":%ID,"method":%s}`, false, ""},
		{"a notification", `{"jsonrpc":"2.0","method":"notifications/progress","params":{"message":%s}}`, false, "null"},
	}
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			ask := d.open(t, New(Config{Methods: newWorld().methods()}))
			n := 0
			for _, place := range places {
				for _, h := range hostile {
					n++
					id := fmt.Sprint(n)
					message := strings.Replace(strings.Replace(place.message, "%ID", id, 1), "%s", h.json, 1)
					r := strict(t, ask(message))
					says := ""
					if place.id != "" {
						id = place.id
					}
					switch {
					case r.Error != nil:
						says = r.Error.Message
					case r.Result != nil && r.Result.IsError:
						says = r.Result.Content[0].Text
						if r.code() != schemas.CodeInvalidArgument {
							t.Errorf("%s in %s: code %s", h.name, place.name, r.code())
						}
					}
					plain := strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(says)
					if string(r.ID) != id || place.result && r.Result == nil && h.name != "20,000 levels" || !strings.Contains(plain, h.says) ||
						len(says) > 1000 {
						t.Errorf("%s in %s: answer to %s says %.300q", h.name, place.name, r.ID, says)
					}
					if place.name == "the method" {
						continue
					}
					if at := strings.Index(message, h.json); !strings.Contains(says, "byte ") {
						t.Errorf("%s in %s at %d: no position in %q", h.name, place.name, at, says)
					}
				}
				if r := strict(t, ask(`{"jsonrpc":"2.0","id":"then`+fmt.Sprint(n)+`","method":"ping"}`)); r.Error != nil || r.Result == nil {
					t.Fatalf("after bad bytes in %s: %+v", place.name, r)
				}
			}
		})
	}
}

// The position counts from the beginning of the message, and the field is that of the argument.
func TestErrorNamesThePlaceOfABadByte(t *testing.T) {
	c := dial(t.Context(), t, New(Config{Methods: newWorld().methods()}))
	message := "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"zebra\",\"arguments\":{\"a\":[1,{\"b/c\":\"x\xff\"}]}}}"
	c.send("%s", message)
	var body struct{ Error schemas.Error }
	if err := json.Unmarshal([]byte(c.next().Result.Content[0].Text), &body); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("byte %d of the message", strings.IndexByte(message, 0xff)); body.Error.Field != "/a/1/b~1c" ||
		!strings.Contains(body.Error.Message, want) {
		t.Errorf("got %+v, want %s", body.Error, want)
	}
}

// A cancellation is obeyed whatever its reason holds.
func TestCancellationWithABadReason(t *testing.T) {
	w := newWorld()
	c := dial(t.Context(), t, New(Config{Methods: w.methods()}))
	c.call(1, "slow", "{}")
	<-w.started
	c.send("%s", "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1,\"reason\":\"\xff\"}}")
	if cause := <-w.ended; cause == nil {
		t.Error("the call was not cancelled")
	}
}

func TestRequestIDsAreAnsweredAsGiven(t *testing.T) {
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			s := New(Config{Methods: newWorld().methods()})
			for _, id := range []string{
				"0", "1", "-1", "-0", "1.0", "1.5", "1e3", "9007199254740991", "9007199254740993", "1764518400000000123", "9223372036854775807",
				"-9223372036854775808", "18446744073709551616", strings.Repeat("7", 300), `"1"`, `""`, `"a-9"`, `"\u00e9\ud83d\ude00"`, `"é😀"`,
				`"<&>"`, `"a\/b\""`, `"` + aliasPrefix + `MQ"`, `"` + strings.Repeat("x", 1000) + `"`,
			} {
				for _, message := range []string{
					`"method":"tools/call","params":{"name":"zebra","arguments":{"n":1}}`, `"method":"ping"`, `"method":"tools/list"`,
					`"method":"none"`, `"method":"tools/call","params":{"name":"no such"}`,
					`"method":"tools/call","params":{"name":"zebra","arguments":{"n":1e999}}`,
				} {
					ask := d.open(t, s) // a client uses an id once
					if r := strict(t, ask(`{"jsonrpc":"2.0","id":`+id+`,`+message+`}`)); !sameID(r.ID, id) {
						t.Errorf("%s with id %s is answered under %s", message, id, r.ID)
					}
				}
			}
			ask := d.open(t, s)
			for _, id := range []string{"true", "[1]", `{"a":1}`, "1e999999", "\"\xff\"", `"\ud800"`, `"` + strings.Repeat("x", maxID) + `"`} {
				r := strict(t, ask(`{"jsonrpc":"2.0","id":`+id+`,"method":"ping"}`))
				if string(r.ID) != "null" || r.Error == nil || r.Error.Code != mcp.INVALID_REQUEST {
					t.Errorf("id %.40q is answered under %s with %+v", id, r.ID, r.Error)
				}
			}
		})
	}
}

// sameID reports whether an id is the given one: a number digit by digit, a string whatever is escaped in it.
func sameID(got json.RawMessage, given string) bool {
	if string(got) == given {
		return true
	}
	var a, b string
	return json.Unmarshal(got, &a) == nil && json.Unmarshal([]byte(given), &b) == nil && a == b
}

// The token of progress is repeated as it was given, and so is the id of a subscription.
func TestTokensAreRepeatedAsGiven(t *testing.T) {
	const token = "9007199254740993"
	c := dial(t.Context(), t, New(Config{Methods: newWorld().methods()}))
	c.send(`{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":"count","_meta":{"progressToken":%s}}}`, token, token)
	l, err := c.out.ReadString('\n')
	if err != nil || !strings.Contains(l, `"progressToken":`+token+`,`) {
		t.Errorf("progress is %s, %v", l, err)
	}
	url, _, _ := serveHTTP(t, New(Config{Methods: newWorld().methods()}))
	var session string
	post(t, url+"/mcp", &session, both, strings.SplitN(hello, "\n", 2)[0])
	_, _, lines := post(t, url+"/mcp", &session, both,
		`{"jsonrpc":"2.0","id":`+token+`,"method":"tools/call","params":{"name":"count","_meta":{"progressToken":`+token+`}}}`)
	if len(lines) != 11 || !strings.Contains(lines[0], `"progressToken":`+token+`,`) || string(strict(t, lines[10]).ID) != token {
		t.Errorf("over HTTP: %q", lines)
	}
}

// A cancellation finds the request that has exactly its id.
func TestCancellationGoesByTheExactID(t *testing.T) {
	w := newWorld()
	url, _, _ := serveHTTP(t, New(Config{Methods: w.methods()}))
	var session string
	post(t, url+"/mcp", &session, both, strings.SplitN(hello, "\n", 2)[0])
	answered := make(chan string, 1)
	go func() {
		own := session
		_, _, lines := post(t, url+"/mcp", &own, both, `{"jsonrpc":"2.0","id":9007199254740993,"method":"tools/call","params":{"name":"slow"}}`)
		answered <- strings.Join(lines, "\n")
	}()
	<-w.started
	cancel := func(id string) {
		post(t, url+"/mcp", &session, both, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":`+id+`}}`)
	}
	cancel("9007199254740992")
	cancel(`"9007199254740993"`)
	select {
	case cause := <-w.ended:
		t.Fatalf("ended by another id: %v", cause)
	default:
	}
	cancel("9007199254740993")
	if cause := <-w.ended; cause == nil {
		t.Error("the call was not cancelled")
	}
	<-answered
}

func TestSubscriptionHasTheExactID(t *testing.T) {
	c := dial(t.Context(), t, New(Config{Methods: newWorld().methods()}))
	const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
	c.send(`{"jsonrpc":"2.0","id":9007199254740993,"method":"subscriptions/listen","params":{"notifications":{},` + meta + `}}`)
	for range 2 { // the acknowledgement and the answer
		l, err := c.out.ReadString('\n')
		if err != nil || !strings.Contains(l, `subscriptionId":9007199254740993`) || strings.Contains(l, aliasPrefix) {
			t.Errorf("got %s, %v", l, err)
		}
	}
}

// What mcp-go would say about params of a wrong shape are words of encoding/json; and it repeats names.
func TestParamsOfAnotherShape(t *testing.T) {
	long := strings.Repeat("n", 64<<10)
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			ask := d.open(t, New(Config{Methods: newWorld().methods()}))
			for i, rest := range []string{
				`"method":"tools/call","params":{"name":5}`, `"method":"tools/call","params":[]`,
				`"method":"tools/call","params":{"name":"zebra","_meta":3}`,
				`"method":"tools/call","params":{"name":"zebra","task":"x"}`, `"method":"prompts/get","params":{"name":"x","arguments":{"a":1}}`,
				`"method":"initialize","params":{"protocolVersion":7}`, `"method":"resources/read","params":{"uri":{}}`,
				`"method":"tools/list","params":{"cursor":1}`,
				`"method":"tools/call","params":{"name":"` + long + `"}`, `"method":"prompts/get","params":{"name":"` + long + `"}`,
				`"method":"resources/read","params":{"uri":"` + long + `"}`, `"method":"` + long + `"`, `"method":7`,
				`"method":"tools/call","params":{"name":"zebra","_meta":{"io.modelcontextprotocol/protocolVersion":"` + long + `"}}`,
				`"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"` + long + `"}}`,
			} {
				r := strict(t, ask(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,%s}`, i, rest)))
				if r.Error == nil || string(r.ID) != fmt.Sprint(i) || len(r.Error.Message) > 6000 || strings.Contains(r.Error.Message, "json:") ||
					strings.Contains(r.Error.Message, "Go ") {
					t.Errorf("%.100s: %+v", rest, r.Error)
				}
			}
		})
	}
}

// What an older version has stored comes out so that every client can read it.
func TestResultsAreReadable(t *testing.T) {
	var value json.RawMessage
	s := New(Config{Methods: []tools.Method{method("give", tools.Reads, func(context.Context, tools.Request) (any, error) {
		return map[string]any{"v": schemas.Value(value)}, nil
	})}})
	for _, d := range doors {
		ask := d.open(t, s)
		for i, row := range []struct{ value, want string }{
			{"\"A\xff\"", `{"v":"A` + "\ufffd" + `"}`}, {`"\ud800"`, `{"v":"\ufffd"}`}, {`-0`, `{"v":-0}`}, {`1e5`, `{"v":1e5}`},
			{`9007199254740993`, `{"v":9007199254740993}`}, {"1e999999", ""}, {deep(9000), ""}, {deep(50), `{"v":` + deep(50) + `}`},
		} {
			value = json.RawMessage(row.value)
			r := strict(t, ask(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"give"}}`, i)))
			if row.want == "" && r.code() != schemas.CodePayloadTooLarge || row.want != "" && string(r.Result.StructuredContent) != row.want {
				t.Errorf("%s: %.60q is answered with %+v", d.name, row.value, r.Result)
			}
		}
	}
}
