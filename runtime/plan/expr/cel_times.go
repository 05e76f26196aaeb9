package expr

import (
	"fmt"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/runplane/runplane/schemas"
)

// readTextNames are the conversions of texts that read more than CEL does: durations with days, dates without a time.
func readTextNames() []*env.Function {
	return []*env.Function{env.NewFunction(overloads.TypeConvertDuration), env.NewFunction(overloads.TypeConvertTimestamp)}
}

func timeFunctions() []cel.EnvOption {
	identity := func(v ref.Val) ref.Val { return v }
	return []cel.EnvOption{
		cel.Function(overloads.TypeConvertDuration,
			cel.Overload(overloads.DurationToDuration, []*cel.Type{cel.DurationType}, cel.DurationType, cel.UnaryBinding(identity)),
			cel.Overload(overloads.StringToDuration, []*cel.Type{cel.StringType}, cel.DurationType,
				cel.UnaryBinding(func(v ref.Val) ref.Val { return readDuration(v.(types.String)) }))),
		cel.Function(overloads.TypeConvertTimestamp,
			cel.Overload(overloads.TimestampToTimestamp, []*cel.Type{cel.TimestampType}, cel.TimestampType, cel.UnaryBinding(identity)),
			cel.Overload(overloads.IntToTimestamp, []*cel.Type{cel.IntType}, cel.TimestampType,
				cel.UnaryBinding(func(v ref.Val) ref.Val { return v.(types.Int).ConvertToType(types.TimestampType) })),
			cel.Overload(overloads.StringToTimestamp, []*cel.Type{cel.StringType}, cel.TimestampType,
				cel.UnaryBinding(func(v ref.Val) ref.Val { return readTime(v.(types.String)) }))),
		member("format", "timestamp_format", cel.StringType, formatTime, cel.TimestampType, cel.StringType),
	}
}

// readDuration reads Go's durations, also with days, and those of ISO 8601.
func readDuration(text types.String) ref.Val {
	if v := text.ConvertToType(types.DurationType); !types.IsError(v) {
		return v
	}
	d, err := schemas.ParseDuration(string(text))
	if err != nil {
		return types.WrapErr(err)
	}
	return types.Duration{Duration: d.Std()}
}

// readTime reads RFC 3339; a date alone is its first moment in UTC.
func readTime(text types.String) ref.Val {
	if t, err := time.Parse(time.DateOnly, string(text)); err == nil && len(text) == len(time.DateOnly) {
		return types.Timestamp{Time: t}
	}
	if v := text.ConvertToType(types.TimestampType); !types.IsError(v) {
		return v
	}
	return types.NewErr(`%q is no time: write "2030-01-31T09:30:00Z", or a date alone, "2030-01-31"`, Shorten(string(text)))
}

// formatTime writes a time as a layout shows it.
func formatTime(args []ref.Val) ref.Val {
	t, ok1 := args[0].(types.Timestamp)
	layout, ok2 := args[1].(types.String)
	if !ok1 || !ok2 {
		return types.NewErr("no such overload: format() of %s with %s", args[0].Type().TypeName(), args[1].Type().TypeName())
	}
	if err := checkLayout(string(layout)); err != nil {
		return types.WrapErr(err)
	}
	return types.String(t.UTC().Format(string(layout)))
}

// unknownZone says what is wrong with the time zone that a part of a time was asked in.
func unknownZone(args []ref.Val) string {
	if len(args) < 2 {
		return ""
	}
	zone, ok := args[1].(types.String)
	if !ok {
		return ""
	}
	return fmt.Sprintf("there is no time zone %q: write a name of the IANA database such as Europe/Berlin, or an offset such as +01:00",
		Shorten(string(zone)))
}

// maxLayout is the longest layout, in bytes.
const maxLayout = 200

// foreignLayouts are the signs of layouts of other languages.
var foreignLayouts = []string{
	"YYYY", "yyyy", "YY", "MM", "DD", "dd", "HH", "hh", "mm", "ss", "SSS", "%Y", "%y", "%m", "%d", "%H", "%M", "%S", "%B", "%b",
}

// checkLayout refuses a layout that shows nothing of the time, or that is another language's: it would be written as it stands.
func checkLayout(layout string) error {
	if len(layout) > maxLayout {
		return fmt.Errorf("the layout is %d bytes long (limit %d)", len(layout), maxLayout)
	}
	hint := `a layout shows the time 2006-01-02 15:04:05.000 as it is to be written, such as "02.01.2006 15:04" or "Jan 2, 2006"`
	shownTime := time.Date(2017, 11, 28, 19, 38, 49, 0, time.UTC).Format(layout)
	if shownTime == layout {
		return fmt.Errorf("the layout %q shows no part of the time: %s", layout, hint)
	}
	for _, sign := range foreignLayouts {
		if strings.Contains(shownTime, sign) {
			return fmt.Errorf("%q in the layout %q is another language's: %s", sign, layout, hint)
		}
	}
	return nil
}
