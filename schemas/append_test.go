package schemas

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// AppendJSON must write what Encode writes, byte for byte, whichever members are set: the store holds both.
func TestEventsAreAppendedAsTheyAreEncoded(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	texts := []string{"", "a", "köln", `"quoted" \ <b>&`, "line\nbreak\x00\x7f", "\u2028", "bad \xff byte", "\U0001f600"}
	values := []Value{nil, Value(`{"a": [1, 2.50, "<b>"]}`), Value(`"x"`), Value(" null "), Value("\"\u2028\"")}
	floats := []float64{0, 1, -1.5, 0.1, 1e-7, 1e21, 123456.789, math.SmallestNonzeroFloat64, 1e20}
	pick := func() Event {
		e := Event{
			Seq: r.Int64N(3) * 1e9, At: time.Date(2026, 1, 2, 3, 4, 5, int(r.Int32N(3))*1000, time.UTC), Type: EventNodeSucceeded,
			Node: texts[r.IntN(len(texts))], Attempt: r.IntN(2), Status: Status(texts[r.IntN(len(texts))]), Output: values[r.IntN(len(values))],
			Text: texts[r.IntN(len(texts))], By: texts[r.IntN(len(texts))], ServedBy: texts[r.IntN(len(texts))],
			DurationMS: floats[r.IntN(len(floats))], EvaluatedMS: floats[r.IntN(len(floats))],
		}
		if r.IntN(2) == 0 {
			e.Item = new(r.IntN(2))
		}
		if r.IntN(4) == 0 {
			e.OutputRef = &OutputRef{NodeID: texts[r.IntN(len(texts))], Bytes: r.IntN(2)}
		}
		return e
	}
	same := func(e Event) {
		t.Helper()
		want, err := Encode(&e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.AppendJSON([]byte("before"))
		if err != nil || string(got) != "before"+string(want) {
			t.Fatalf("%v\n got %s\nwant %s", err, got, want)
		}
	}
	for range 3000 {
		same(pick())
	}
	eachMember(t, func(set func(reflect.Value)) {
		e := pick()
		set(reflect.ValueOf(&e).Elem())
		same(e)
	})
}

// eachMember calls try once for each member of an event, with a function that sets it.
func eachMember(t *testing.T, try func(set func(event reflect.Value))) {
	event := reflect.TypeFor[Event]()
	for i := range event.NumField() {
		if event.Field(i).Type == reflect.TypeFor[time.Time]() {
			continue
		}
		try(func(e reflect.Value) { setSomething(t, e.Field(i)) })
	}
}

func setSomething(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Float64:
		v.SetFloat(7)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[Value]() {
			v.SetBytes([]byte(`7`))
		} else {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
	default:
		t.Fatalf("the test knows no value of %s", v.Type())
	}
}

func TestAValueThatIsNoJSONIsNotAppended(t *testing.T) {
	for _, e := range []Event{{Output: Value("{")}, {Data: Value("{")}, {DurationMS: math.NaN()}, {At: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}} {
		if b, err := e.AppendJSON(nil); err == nil {
			t.Errorf("it is written: %s", b)
		}
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	e := &Event{
		Seq: 1, At: time.Now().UTC(), Type: EventNodeSucceeded, Node: "n1", Attempt: 1, Output: Value(`{"msg":"x"}`), Text: `{"msg":"x"}`,
		DurationMS: 1.25,
	}
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := e.AppendJSON(make([]byte, 0, 512)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Encode(e); err != nil {
				b.Fatal(err)
			}
		}
	})
}
