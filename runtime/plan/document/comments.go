package document

// blankComments overwrites the comments outside of strings.
func blankComments(b []byte) {
	const (
		code = iota
		text
		line
		block
	)
	state := code
	for i := 0; i < len(b); i++ {
		next := byte(0)
		if i+1 < len(b) {
			next = b[i+1]
		}
		switch {
		case state == text && b[i] == '\\':
			i++
		case b[i] == '"' && state == code:
			state = text
		case b[i] == '"' && state == text, b[i] == '\n' && state == line:
			state = code
		case state == code && b[i] == '/' && next == '/':
			state, b[i] = line, ' '
		case state == code && b[i] == '/' && next == '*':
			state, b[i], b[i+1] = block, ' ', ' '
			i++
		case state == block && b[i] == '*' && next == '/':
			state, b[i], b[i+1] = code, ' ', ' '
			i++
		case (state == line || state == block) && b[i] != '\n':
			b[i] = ' '
		}
	}
}
