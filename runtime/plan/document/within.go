package document

// Member returns the value of a member of a JSON object, and Element an item of a list, as the bytes that they are there. Nothing is decoded
// and no memory is taken, whatever the size of the document, which must be valid JSON. ok is false where there is none.
func Member(doc []byte, name string) (value []byte, ok bool) {
	i := blanks(doc, 0)
	if i >= len(doc) || doc[i] != '{' {
		return nil, false
	}
	for i = blanks(doc, i+1); i < len(doc) && doc[i] == '"'; {
		end := pastString(doc, i)
		key := doc[i:end]
		i = blanks(doc, blanks(doc, end)+1) // the colon
		end = pastValue(doc, i)
		if isKey(key, name) {
			return doc[i:end:end], true
		}
		if i = blanks(doc, end); i < len(doc) && doc[i] == ',' {
			i = blanks(doc, i+1)
		}
	}
	return nil, false
}

// Element is Member for an item of a list.
func Element(doc []byte, index int) (value []byte, ok bool) {
	i := blanks(doc, 0)
	if i >= len(doc) || doc[i] != '[' {
		return nil, false
	}
	for i = blanks(doc, i+1); i < len(doc) && doc[i] != ']'; index-- {
		end := pastValue(doc, i)
		if index == 0 {
			return doc[i:end:end], true
		}
		if i = blanks(doc, end); i < len(doc) && doc[i] == ',' {
			i = blanks(doc, i+1)
		}
	}
	return nil, false
}

// isKey reports whether a quoted name is the name.
func isKey(quoted []byte, name string) bool {
	if len(quoted) < 2 { // the document ends there
		return false
	}
	if inside := quoted[1 : len(quoted)-1]; string(inside) == name {
		return true
	}
	for _, c := range quoted {
		if c == '\\' {
			return Unquote(string(quoted)) == name
		}
	}
	return false
}

func blanks(doc []byte, i int) int {
	for i < len(doc) && (doc[i] == ' ' || doc[i] == '\n' || doc[i] == '\t' || doc[i] == '\r') {
		i++
	}
	return i
}

// pastString is the end of the string that begins at i.
func pastString(doc []byte, i int) int {
	for i++; i < len(doc); i++ {
		switch doc[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(doc)
}

// pastValue is the end of the value that begins at i.
func pastValue(doc []byte, i int) int {
	for depth := 0; i < len(doc); {
		switch doc[i] {
		case '"':
			i = pastString(doc, i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\n', '\t', '\r':
			i++
			continue
		default:
			for i < len(doc) && !isEnd(doc[i]) {
				i++
			}
		}
		if depth == 0 {
			return i
		}
	}
	return len(doc)
}

// isEnd reports whether a number or a word ends before the byte.
func isEnd(c byte) bool {
	switch c {
	case ',', '}', ']', ' ', '\n', '\t', '\r':
		return true
	}
	return false
}
