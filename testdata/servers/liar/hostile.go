package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// hostileTools have schemas that are expensive to check.
func hostileTools() []object {
	pattern := func(n int) object { return object{"pattern": fmt.Sprintf("(x?){500}(x?){400}y%d", n)} }
	patterns := object{"type": "string", "allOf": []object{pattern(1), pattern(2), pattern(3)}}
	return []object{
		{"name": "pattern", "description": "Answer with the message, if it matches.", "inputSchema": object{
			"type": "object", "properties": object{"msg": patterns}, "propertyNames": object{"maxLength": 2000, "anyOf": []object{pattern(4), {"type": "string"}}},
			"patternProperties": object{"(z?){500}(z?){400}y": object{}},
		}},
		{"name": "deep", "description": "Answer with as many levels of lists as msg says.", "inputSchema": object{"type": "object"}},
		{"name": "numbers", "description": "Answer with numbers that no double holds.", "inputSchema": object{"type": "object"}},
		{"name": "bytes", "description": "Answer with bytes that are not UTF-8.", "inputSchema": object{"type": "object"}},
		{"name": "limited", "description": "Over HTTP, answer that there were too many requests; msg is the Retry-After.", "inputSchema": object{"type": "object"}},
		{"name": "vast", "description": "Its schema is large.", "inputSchema": object{"type": "object", "properties": vast()}},
	}
}

// vast are as many properties as a megabyte takes, each with a pattern.
func vast() object {
	all := object{}
	for i := range 10_000 {
		all[fmt.Sprintf("property_%d", i)] = object{"type": "string", "pattern": fmt.Sprintf("^[a-z]{1,%d}$", 1+i%900), "description": "one of many"}
	}
	return all
}

// limited answers a call of that tool; it reports whether it did.
func limited(w http.ResponseWriter, m *message) bool {
	var call struct {
		Name      string `json:"name"`
		Arguments struct {
			Msg string `json:"msg"`
		} `json:"arguments"`
	}
	if m.Method != "tools/call" || json.Unmarshal(m.Params, &call) != nil || call.Name != "limited" {
		return false
	}
	if call.Arguments.Msg != "" {
		w.Header().Set("Retry-After", call.Arguments.Msg)
	}
	w.WriteHeader(http.StatusTooManyRequests)
	return true
}

// hostileAnswer is the result of one of those tools as text of JSON; empty: the message is the answer.
func hostileAnswer(tool, msg string) string {
	const structured = `{"content":[{"type":"text","text":"x"}],"structuredContent":{"v":%s}}`
	switch tool {
	case "deep":
		n, _ := strconv.Atoi(msg) // an error means 0
		n = min(n, 1<<20)
		return fmt.Sprintf(structured, strings.Repeat("[", n)+strings.Repeat("]", n))
	case "numbers":
		return fmt.Sprintf(structured, `[1e999999,-1e400,1`+strings.Repeat("0", 400)+`,0.`+strings.Repeat("1", 4000)+`,9007199254740993]`)
	case "bytes":
		return fmt.Sprintf(structured, "{\"a\xff\xfeb\":\"A\xff\xfeB\",\"s\":\"\\ud800\"}")
	}
	return ""
}
