package schemas

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func nested(n int) string {
	return strings.Repeat(`{"a":[`, n/2) + "1" + strings.Repeat("]}", n/2)
}

func TestFindFlaw(t *testing.T) {
	many := make([]string, 100)
	for i := range many {
		many[i] = `"k` + strings.Repeat("x", i) + `":1`
	}
	long := "{" + strings.Join(many, ",")
	for _, row := range []struct {
		name, doc string
		kind      FlawKind
		pointer   string
		offset    int
	}{
		{"nothing", ``, "", "", 0},
		{"plain", `{"a":[1,-0,1.5e3,"x"],"b":{"a":true},"c":"é😀"}`, "", "", 0},
		{"a pair of escapes", `"\ud83d\ude00 \\ud800"`, "", "", 0},
		{"an integer beyond 2^53", `9007199254740993`, "", "", 0},
		{"a number of 300 digits", strings.Repeat("9", 300), "", "", 0},
		{"the deepest", nested(DefaultMaxDepth), "", "", 0},
		{"the same name in other objects", `[{"a":{"a":1}},{"a":1},{"b":"a","a":"b"}]`, "", "", 0},
		{"many names", long + "}", "", "", 0},

		{"a byte", "{\"a\":[0,\"x\xff\"]}", FlawBytes, "/a/1", 10},
		{"a byte in a name", "{\"a\xff\":1}", FlawBytes, "", 3},
		{"a byte outside of strings", "{\xff}", FlawBytes, "", 1},
		{"an encoded surrogate", "\"\xed\xa0\x80\"", FlawBytes, "", 1},
		{"too long a form", "\"\xc0\xaf\"", FlawBytes, "", 1},
		{"a character cut off", "\"\xe2\x82\"", FlawBytes, "", 1},
		{"beyond Unicode", "\"\xf5\x80\x80\x80\"", FlawBytes, "", 1},
		{"a high half", `{"t":"\ud800"}`, FlawSurrogate, "/t", 6},
		{"a low half", `"\uDC00x"`, FlawSurrogate, "", 1},
		{"two high halves", `"\ud800\ud800"`, FlawSurrogate, "", 1},
		{"a high half at the end", `["\ud800`, FlawSurrogate, "/0", 2},
		{"a half in a name", `{"\udfff":1}`, FlawSurrogate, "", 2},
		{"a name twice", `{"x":{"a":1,"b":2,"a":3}}`, FlawDuplicate, "/x", 18},
		{"a name twice, once escaped", `{"a":1,"\u0061":2}`, FlawDuplicate, "", 7},
		{"a name twice of many", long + `,"kxx":2}`, FlawDuplicate, "", len(long) + 1},
		{"1e400", `{"n":1e400}`, FlawNumber, "/n", 5},
		{"-1e999999", `[-1E+999999]`, FlawNumber, "/0", 1},
		{"-1e-999999", `[-1e-999999]`, FlawNumber, "/0", 1},
		{"0e-999999", `[0.0e-999999]`, "", "", 0},
		{"a million digits", strings.Repeat("1", 1_000_000), FlawNumber, "", 0},
		{"350 digits", strings.Repeat("1", 350), FlawNumber, "", 0},
		{"too deep", nested(DefaultMaxDepth + 2), FlawDepth, Cut(strings.Repeat("/a/0", DefaultMaxDepth/2), 240, Ellipsis), 300},
		{"9,000 levels", nested(9000), FlawDepth, Cut(strings.Repeat("/a/0", DefaultMaxDepth/2), 240, Ellipsis), 300},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := FindFlaw([]byte(row.doc), 0)
			if row.kind == "" {
				if f != nil {
					t.Fatalf("found %+v", f)
				}
				return
			}
			if f == nil || f.Kind != row.kind || f.Pointer != row.pointer || f.Offset != row.offset {
				t.Fatalf("found %+v, want %s at %d, %q", f, row.kind, row.offset, row.pointer)
			}
			e := f.Error()
			if e.Code != CodeInvalidArgument || e.Hint == "" || len(e.Message) > 200 || !utf8.ValidString(e.Message) {
				t.Errorf("error is %q, %q", e.Message, e.Hint)
			}
		})
	}
}

func TestMend(t *testing.T) {
	for _, row := range []struct{ name, doc, want, note string }{
		{"nothing to mend", `{"a": 1}`, `{"a": 1}`, ""},
		{"bytes", "{\"a\": \"A\xff\xfeB\", \"n\":1.50}", "{\"a\":\"A\ufffd\ufffdB\",\"n\":1.50}",
			"2 bytes that are not UTF-8 were replaced by U+FFFD, first at /a"},
		{"halves", `["\ud800x","\ud83d\ude00"]`, `["\ufffdx","\ud83d\ude00"]`,
			"1 escapes of half a character were replaced by U+FFFD, first at /0"},
		{"a name twice", `{"a":1,"b":[],"a":{"c":null}}`, `{"b":[],"a":{"c":null}}`,
			"1 values were dropped because their object has the name again"},
		{"a name three times", `{"a":1,"a":2,"\u0061":3}`, `{"\u0061":3}`, "2 values were dropped because their object has the name again"},
		{"names that become equal", "{\"a\xff\":1,\"a\xfe\":2}", "{\"a\ufffd\":1,\"a\ufffd (2)\":2}",
			"2 bytes that are not UTF-8 were replaced by U+FFFD|1 names that were equal after that were numbered"},
		{"and a number that is taken", "{\"a\xff\":1,\"a\xfe\":2,\"a\ufffd (2)\":3}", "{\"a\ufffd\":1,\"a\ufffd (3)\":2,\"a\ufffd (2)\":3}",
			"2 bytes that are not UTF-8 were replaced by U+FFFD|1 names that were equal after that were numbered"},
		{"white space", " { \"a\" : [ \"\xff\" , true ] } ", "{\"a\":[\"\ufffd\",true]}",
			"1 bytes that are not UTF-8 were replaced by U+FFFD, first at /a/0"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, notes, flaw := Mend([]byte(row.doc), 0)
			if flaw != nil || string(got) != row.want || strings.Join(notes, "|") != row.note {
				t.Errorf("got %s, %q, %+v; want %s, %q", got, notes, flaw, row.want, row.note)
			}
		})
	}
	for _, doc := range []string{`{"a":1e400}`, "{\"b\":\"\xff\",\"a\":1e400}", "[\"\xff\"," + nested(9000) + "]", "{\"a\":\xff}"} {
		if got, _, flaw := Mend([]byte(doc), 0); flaw == nil {
			t.Errorf("mended %.40q to %.40q", doc, got)
		}
	}
}

// FuzzMend checks that what comes out is JSON that a strict reader reads, and is not mended again.
func FuzzMend(f *testing.F) {
	for _, doc := range []string{
		"{\"a\":\"\xff\",\"a\":2,\"b\xfe\":[1e400,\"\\ud800\"]}", "{\"a\xff\":1,\"a\xfe\":2,\"a\xfd\":3}", nested(200),
		`{"a":{"b":{},"b":[]},"a":1}`,
		" [ \"\\ud83d\\ude00\\ud83d\" , -0 , 1E5 ] ", `"\u00`, `{"\ud800":1,"\udfff":2,"\ufffd":3}`,
		"{\"\\\x8b\"\x93", "{\"\\u000\xba\"\"\\ud800",
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		out, notes, flaw := Mend(doc, 0)
		if flaw != nil {
			if out != nil || flaw.Text == "" || !utf8.ValidString(flaw.Text+flaw.Pointer) {
				t.Fatalf("%q: flaw %+v", doc, flaw)
			}
			return
		}
		if len(notes) == 0 && !bytes.Equal(out, doc) {
			t.Fatalf("%q became %q without a note", doc, out)
		}
		if !json.Valid(doc) {
			return
		}
		if !json.Valid(out) || !utf8.Valid(out) {
			t.Fatalf("%q became %q", doc, out)
		}
		if again := FindFlaw(out, 0); again != nil {
			t.Fatalf("%q became %q, which has %+v", doc, out, again)
		}
	})
}

func BenchmarkFindFlaw(b *testing.B) {
	doc := []byte(`{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{"name":"invoke_capability","arguments":{"realm":"shop","capability_name":` +
		`"get_order","inputs":{"id":"A-17","fields":["total","contacts","items"],"limit":20}},"_meta":{"progressToken":17}}}`)
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		if FindFlaw(doc, 0) != nil {
			b.Fatal("flaw")
		}
	}
}
