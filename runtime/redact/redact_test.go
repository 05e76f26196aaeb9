package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// sources is each place in which a configuration has a value under a name.
var sources = map[string]func(s *Secrets, name, v string){
	"env":             func(s *Secrets, name, v string) { s.Named(map[string]string{name: v}) },
	"--name=value":    func(s *Secrets, name, v string) { s.Args([]string{"run", "--" + name + "=" + v}) },
	"--name value":    func(s *Secrets, name, v string) { s.Args([]string{"run", "--" + name, v, "--verbose"}) },
	"NAME=value":      func(s *Secrets, name, v string) { s.Args([]string{"run", "-e", name + "=" + v}) },
	"header argument": func(s *Secrets, name, v string) { s.Args([]string{"run", "--header", name + ": " + v}) },
	"one argument": func(s *Secrets, name, v string) {
		s.Args([]string{"-c", "export " + name + "='" + v + "'; exec server"})
	},
	"query": func(s *Secrets, name, v string) { s.URL("https://host/mcp?x=1&" + url.Values{name: {v}}.Encode()) },
	"JSON in env": func(s *Secrets, name, v string) {
		b, _ := json.Marshal(map[string]any{"headers": map[string]any{name: v}}) // a map of strings
		s.Named(map[string]string{"OPTIONS": string(b)})
	},
}

// forms is each way in which a secret appears in what a realm says.
var forms = map[string]func(string) string{
	"as it is":        func(v string) string { return v },
	"in a sentence":   func(v string) string { return "who is " + v + "?" },
	"between words":   func(v string) string { return "x" + v + "y" },
	"query escaped":   url.QueryEscape,
	"path escaped":    url.PathEscape,
	"lower escapes":   func(v string) string { return lowerEscapes(url.QueryEscape(v)) },
	"quoted":          strconv.Quote,
	"in JSON":         func(v string) string { b, _ := json.Marshal(v); return string(b) },
	"in JSON in JSON": func(v string) string { b, _ := json.Marshal(v); b, _ = json.Marshal(string(b)); return string(b) },
	"as PHP writes it": func(v string) string {
		b, _ := json.Marshal(v)
		return strings.ReplaceAll(string(b), "/", `\/`)
	},
	"as PHP writes it, in JSON": func(v string) string {
		b, _ := json.Marshal(v)
		b, _ = json.Marshal(strings.ReplaceAll(string(b), "/", `\/`))
		return string(b)
	},
	"as Python writes it, in JSON": func(v string) string {
		b, _ := json.Marshal(strconv.QuoteToASCII(v)) // of what is below U+10000, with the same escapes
		return string(b)
	},
	"base64":          func(v string) string { return base64.StdEncoding.EncodeToString([]byte(v)) },
	"base64 for URLs": func(v string) string { return base64.RawURLEncoding.EncodeToString([]byte(v)) },
	"Basic":           func(v string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte("me:"+v)) },
	"in more base64":  func(v string) string { return base64.StdEncoding.EncodeToString([]byte("token=" + v + "&x")) },
	"hexadecimal":     func(v string) string { return fmt.Sprintf("%x", v) },
	"and in capitals": func(v string) string { return fmt.Sprintf("%X", v) },
	"in HTML":         html.EscapeString,
	"twice":           func(v string) string { return v + v },
}

func TestSecretsOfEachSourceInEachForm(t *testing.T) {
	names := []string{"API_KEY", "apiKey", "GITHUB_PERSONAL_ACCESS_TOKEN", "db-password", "Authorization", "X-Api-Key", "client_secret",
		"PGPASSWORD", "OPENAIKEY2TOKEN"}
	values := []string{"CANARY-VALUE", "hunter2-horse", "p@ss/w0rd+&=?", "correct-horse-battery", "schlüssel-wörter", "1234567890",
		"abcDEF0123456789ghiJKL"}
	for source, put := range sources {
		for _, name := range names {
			for _, v := range values {
				if source == "one argument" && strings.ContainsAny(v, "&;") {
					continue
				}
				var s Secrets
				put(&s, name, v)
				r := New()
				r.Add(&s)
				for form, of := range forms {
					for exit, got := range map[string]string{"text": r.Text(of(v)), "data": r.Data(of(v)), "json": string(r.JSON(quoteJSON(t, of(v))))} {
						if leaks(got, v) || !strings.Contains(got, Mark) {
							t.Fatalf("%s %s=%s, %s, %s: %q becomes %q", source, name, v, form, exit, of(v), got)
						}
					}
				}
			}
		}
	}
}

func quoteJSON(t *testing.T, s string) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(map[string]any{"text": s, "n": 1234567890})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// leaks reports whether a text still has the value in a form that is easily read.
func leaks(text, v string) bool {
	text = strings.ReplaceAll(text, `"n":1234567890`, "")
	for _, f := range formsOf(v) {
		if strings.Contains(text, f) {
			return true
		}
	}
	return false
}

// Parts of a secret that servers repeat.
func TestPartsOfASecret(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte("shop:CANARY-PASS"))
	jwt := "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnktcGF5bG9hZCJ9.c2lnbmF0dXJlLWNhbmFyeS1zaWc"
	for _, tt := range []struct {
		name, value string
		parts       []string
	}{
		{"Authorization", "Bearer CANARY-BEARER", []string{"CANARY-BEARER"}},
		{"Authorization", "bearer CANARY-BEARER", []string{"CANARY-BEARER"}},
		{"Authorization", "Basic CANARY-BASIC", []string{"CANARY-BASIC"}},
		{"Authorization", "Basic " + basic, []string{basic, "shop:CANARY-PASS", "CANARY-PASS"}},
		{"Authorization", "token CANARY-TOKEN", []string{"CANARY-TOKEN"}},
		{"X-Upstream", "Bearer CANARY-BEARER", []string{"CANARY-BEARER"}},
		{"X-Upstream", "basic " + basic, []string{basic, "shop:CANARY-PASS", "CANARY-PASS"}},
		{"Authorization", `Digest username="Mufasa", response="CANARY-RESPONSE"`, []string{"CANARY-RESPONSE"}},
		{"Authorization", "Bearer " + jwt, []string{jwt, "eyJzdWIiOiJjYW5hcnktcGF5bG9hZCJ9", "c2lnbmF0dXJlLWNhbmFyeS1zaWc"}},
		{"X-Api-Key", "key=CANARY-APIKEY", []string{"CANARY-APIKEY"}},
		{"Cookie", "sid=CANARY-SID; theme=dark", []string{"CANARY-SID"}},
		{"DATABASE_URL", "postgres://me:CANARY-DBPASS@db.example.com:5432/shop?sslpassword=CANARY-SSL", []string{"CANARY-DBPASS", "CANARY-SSL"}},
		{"CONNECTION", "Server=db;User Id=me;Password=CANARY-CONN;", []string{"CANARY-CONN"}},
		{"OPENAPI_MCP_HEADERS", `{"Authorization": "Bearer CANARY-NOTION", "Notion-Version": "2022-06-28"}`, []string{"CANARY-NOTION"}},
		{"SLACK_WEBHOOK", "https://hooks.slack.com/services/T0000/B0000/aB3dE5gH7jK9mN1pQ3sT5vX7", []string{"aB3dE5gH7jK9mN1pQ3sT5vX7"}},
		{"PLAIN", "ghp_0123456789abcdefABCDEF", []string{"ghp_0123456789abcdefABCDEF"}},
		{"PLAIN", "sk-proj-4f9Xq2Lm8Zk1Vb7Nw3", []string{"sk-proj-4f9Xq2Lm8Zk1Vb7Nw3"}},
		{"PLAIN", "q8Zk1Vb7Nw3fX9q2Lm4T", []string{"q8Zk1Vb7Nw3fX9q2Lm4T"}},
		{"TLS_KEY", "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n-----END PRIVATE KEY-----\n",
			[]string{"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "BKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"}},
	} {
		var s Secrets
		s.Named(map[string]string{tt.name: tt.value})
		r := New()
		r.Add(&s)
		for _, part := range append(tt.parts, tt.value) {
			for exit, got := range map[string]string{"text": r.Text("it was " + part + "."), "data": r.Data("it was " + part + ".")} {
				for _, p := range tt.parts {
					if strings.Contains(got, p) {
						t.Errorf("%s=%s: %s has %q", tt.name, tt.value, exit, got)
					}
				}
			}
		}
	}
}

// What is no secret stays readable, in every exit.
func TestOrdinaryValuesStay(t *testing.T) {
	var s Secrets
	env := map[string]string{
		"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/home/me", "LOG_LEVEL": "info", "NODE_ENV": "production", "DEBUG": "true",
		"PORT": "8080", "MAX_TOKENS": "100000",
		"AWS_REGION": "eu-west-1", "LANG": "en_US.UTF-8", "TZ": "Europe/Berlin", "API_URL": "https://api.example.com/v1",
		"TOKEN_TYPE": "Bearer-ish", "VERSION": "1.22.3",
		"AUTH_MODE": "oauth2-device", "KEY_FILE": "/etc/ssl/private/key.pem", "SSL_KEY": "/etc/ssl/key.pem", "USE_PASSWORD": "enabled",
		"PASSWORD": "password", "PIN": "1234", "TOKEN": "abc",
		"KEYBOARD": "qwertz", "TOKENIZER": "cl100k", "TIMEOUT": "30000ms", "MAIL": "shop@example.com", "HOST": "db.example.com:5432",
		"PACKAGE": "@scope/name@1.2.3",
		"ALLOWED": "read,write,list", "EMPTY": "", "SPACE": "      ", "NO_KEYS": "", "SECRET_NAME": "prod/shop/db", "ACCEPT": "application/json",
	}
	s.Named(env)
	s.Args([]string{"-y", "@modelcontextprotocol/server-everything", "stdio", "--verbose", "--port=8080", "--root", "/srv/data",
		"--name=my-long-project", "leak", "https://host.example.com/mcp",
		"--model", "gpt-4o-mini-2024-07-18", "/srv/lib/realm.py", "--no-auth", "serve"})
	s.URL("https://mcp.example.com/v1/mcp?transport=http&page=2")
	r := New()
	r.Add(&s)
	for name, v := range env {
		if got := r.Text("value " + v + " of it"); got != "value "+v+" of it" {
			t.Errorf("%s=%s: %q", name, v, got)
		}
	}
	const text = "the server-everything of my-long-project in production listens on https://host.example.com/mcp with gpt-4o-mini-2024-07-18, reads /srv/data, see --no-auth"
	if got := r.Text(text); got != text {
		t.Errorf("%q", got)
	}
}

// A private value is replaced where people read, and left in data: a project's id is the answer of many a tool.
func TestPrivateValuesStayInData(t *testing.T) {
	var s Secrets
	s.Named(map[string]string{"PROJECT": "my-project-4711-x", "COMMIT": "0123456789abcdef0123456789abcdef01234567",
		"TENANT": "6f1c1a3e-0b1f-4a53-9a53-2f3f5c2d9e11", "LOGIN": "hunter2 horse"})
	r := New()
	r.Add(&s)
	for _, v := range []string{"my-project-4711-x", "0123456789abcdef0123456789abcdef01234567", "6f1c1a3e-0b1f-4a53-9a53-2f3f5c2d9e11",
		"hunter2 horse"} {
		if got := r.Text(v); got != Mark {
			t.Errorf("in a text: %q", got)
		}
		if got := r.Data(v); got != v {
			t.Errorf("in data: %q", got)
		}
		if raw := quoteJSON(t, v); !bytes.Equal(r.JSON(raw), raw) {
			t.Errorf("in JSON: %s", r.JSON(raw))
		}
	}
}

func TestSecretsThatAreCutByTheEndOfALine(t *testing.T) {
	const v = "CANARY-OF-TWO-LINES-0123456789"
	var s Secrets
	s.Named(map[string]string{"API_KEY": v})
	r := New()
	r.Add(&s)
	for cut := 1; cut < len(v); cut++ {
		for _, end := range []string{"\n", "\r\n"} {
			got := r.Text("key " + v[:cut] + end + v[cut:] + " is wrong")
			for n := 10; n <= len(v); n++ { // a third is 10
				for from := range len(v) - n + 1 {
					part := v[from : from+n]
					if (from == 0 || from+n == len(v)) && strings.Contains(got, part) {
						t.Fatalf("cut after %d: %q has %q", cut, got, part)
					}
				}
			}
		}
		if got := r.Text(v[:cut]); cut >= 10 && got != Mark {
			t.Errorf("a line that ends with %q: %q", v[:cut], got)
		}
	}
}

// JSON stays JSON, with its numbers, and is not changed without a secret.
func TestJSONKeepsTheRest(t *testing.T) {
	var s Secrets
	s.Named(map[string]string{"PASSWORD": "12345678901", "TOKEN": `quote"back\slash`, "KEY": "CANARY-KEY"})
	r := New()
	r.Add(&s)
	for in, want := range map[string]string{
		`{"a":12345678901,"b":[1.50,1e400]}`:        `{"a":12345678901,"b":[1.50,1e400]}`,
		`{"a":"12345678901"}`:                       `{"a":"` + Mark + `"}`,
		`{"CANARY-KEY":{"x":"\u0043ANARY-KEY"}}`:    `{"` + Mark + `":{"x":"` + Mark + `"}}`,
		`["a\\n","quote\"back\\slash","\u00e9<&>"]`: `["a\\n","` + Mark + `","\u00e9<&>"]`,
		`"x CANARY-KEY <y> & \n"`:                   `"x ` + Mark + ` <y> & \n"`,
		`{"a": "b"}  `:                              `{"a": "b"}  `,
		`"CANARY-KEY`:                               `"CANARY-KEY`, // not JSON
		``:                                          ``,
	} {
		if got := string(r.JSON(json.RawMessage(in))); got != want {
			t.Errorf("%s becomes %s, want %s", in, got, want)
		}
	}
}

func TestAddedSecretsStay(t *testing.T) {
	r := New()
	for i := range 5 {
		var s Secrets
		s.Named(map[string]string{"TOKEN": fmt.Sprintf("canary-%d-token", i)})
		r.Add(&s)
	}
	if got := r.Text("canary-0-token canary-4-token canary-5-token"); got != Mark+" "+Mark+" canary-5-token" {
		t.Errorf("%q", got)
	}
	var none *Redactor
	if none.Text("a") != "a" || none.Data("a") != "a" || string(none.JSON(json.RawMessage(`1`))) != "1" {
		t.Error("nil changes a text")
	}
	none.Add(&Secrets{})
}

func TestWriterRedacts(t *testing.T) {
	var s Secrets
	s.Named(map[string]string{"TOKEN": "CANARY-LOG"})
	r := New()
	var out strings.Builder
	w := r.Writer(&out)
	r.Add(&s)
	n, err := fmt.Fprintf(w, "a CANARY-LOG\n")
	if err != nil || n != len("a CANARY-LOG\n") || out.String() != "a "+Mark+"\n" {
		t.Errorf("%d, %v, %q", n, err, out.String())
	}
}
