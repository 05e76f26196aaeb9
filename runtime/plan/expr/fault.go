package expr

// The codes of faults, which are codes of findings.
const (
	CodeSyntax           = "expression_syntax"
	CodeTooLarge         = "expression_too_large"
	CodeInKey            = "expression_in_key"
	CodeUnknownRoot      = "unknown_root"
	CodeUnknownFunction  = "unknown_function"
	CodeDynamicReference = "dynamic_reference"
	CodeWrongValue       = "wrong_value"
	codeNotJSON          = "wrong_type"
)

// Fault is something wrong with an expression.
type Fault struct {
	Code       string // a finding's code
	At         int    // byte offset in the expression's text
	Message    string
	Candidates []string
}
