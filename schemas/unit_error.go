package schemas

// UnitError says that one item of a for_each node, a round of one with repeat, or a node itself failed; expressions read a list of them as nodes.<id>.errors.
type UnitError struct {
	Index   int    `json:"index" jsonschema:"description=of the item; or of the round of a node with repeat; 0 of other nodes"`
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// maxUnitError is the longest message of a UnitError in bytes.
const maxUnitError = 500

// NewUnitError keeps what expressions read of an error; nil is that of something that was cancelled.
func NewUnitError(index int, e *Error) UnitError {
	if e == nil {
		e = Errorf(CodeCancelled, "it was cancelled")
	}
	return UnitError{Index: index, Code: e.Code, Message: Cut(e.Message, maxUnitError, Ellipsis)}
}

// ShortenErrors cuts the messages so that all of them together take about the given number of bytes.
func ShortenErrors(list []UnitError, bytes int) []UnitError {
	const around = 64 // bytes of an entry without its message
	most := bytes/max(len(list), 1) - around
	if most >= maxUnitError {
		return list
	}
	short := make([]UnitError, len(list))
	for i, e := range list {
		e.Message = Cut(e.Message, max(most, 0), Ellipsis)
		short[i] = e
	}
	return short
}
