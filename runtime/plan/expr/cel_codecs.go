package expr

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/runplane/runplane/runtime/plan/document"
	"github.com/runplane/runplane/schemas"
)

// codecs are the functions that read and write encodings: JSON, base64, percent encoding and CSV.
func codecs() []cel.EnvOption {
	function := func(name, id string, from, to *cel.Type, f func(ref.Val) ref.Val) cel.EnvOption {
		return cel.Function(name, cel.Overload(id, []*cel.Type{from}, to, cel.UnaryBinding(f)))
	}
	return []cel.EnvOption{
		function("json.decode", "json_decode_string", cel.StringType, cel.DynType, decodeJSON),
		function("json.encode", "json_encode_dyn", cel.DynType, cel.StringType, encodeJSON),
		function("base64.encode", "base64_encode_bytes", cel.BytesType, cel.StringType, func(v ref.Val) ref.Val {
			return types.String(base64.StdEncoding.EncodeToString(v.(types.Bytes)))
		}),
		function("base64.decode", "base64_decode_string", cel.StringType, cel.BytesType, decodeBase64),
		function("url.encode", "url_encode_string", cel.StringType, cel.StringType, encodeURL),
		function("url.decode", "url_decode_string", cel.StringType, cel.StringType, decodeURL),
		function("csv.decode", "csv_decode_string", cel.StringType, cel.ListType(cel.DynType), func(v ref.Val) ref.Val { return decodeCSV([]ref.Val{v}) }),
	}
}

// decodeJSON opens text that is itself JSON.
func decodeJSON(v ref.Val) ref.Val {
	text, ok := v.(types.String)
	if !ok {
		return types.NewErr("no such overload: json.decode() of %s", v.Type().TypeName())
	}
	if flaw := schemas.FindFlaw([]byte(text), maxResultDepth); flaw != nil {
		return types.NewErr("json.decode: byte %d of the text: %s", flaw.Offset, flaw.Text)
	}
	value, err := document.Decode(string(text))
	if err != nil {
		return types.NewErr("json.decode: the text is %v", err)
	}
	return values.NativeToValue(value)
}

func encodeJSON(v ref.Val) ref.Val {
	w := resultWriter{max: maxText}
	if err := w.write(v, 0); errors.Is(err, errTooLarge) {
		return types.NewErr("json.encode: the text would be longer than %d bytes", maxText)
	} else if err != nil {
		return types.NewErr("json.encode: %v", err)
	}
	return types.String(w.out)
}

// decodeBase64 accepts text with and without padding.
func decodeBase64(v ref.Val) ref.Val {
	text := string(v.(types.String))
	if b, err := base64.StdEncoding.DecodeString(text); err == nil {
		return types.Bytes(b)
	}
	b, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return types.NewErr("base64.decode: %v", err)
	}
	return types.Bytes(b)
}

// encodeURL writes all but letters, digits and -._~ as %XX, so that the text can stand in a path or in a query.
func encodeURL(v ref.Val) ref.Val {
	return types.String(strings.ReplaceAll(url.QueryEscape(string(v.(types.String))), "+", "%20"))
}

// decodeURL reads %XX; a plus stands for itself.
func decodeURL(v ref.Val) ref.Val {
	text, err := url.PathUnescape(string(v.(types.String)))
	switch {
	case err != nil:
		return types.NewErr("url.decode: %s is no percent encoding", schemas.Quote(string(v.(types.String)), 60))
	case !utf8.ValidString(text):
		return types.NewErr("url.decode: what is encoded is not text in UTF-8")
	}
	return types.String(text)
}
