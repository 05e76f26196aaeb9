package schemas

// Because ends a sentence with a reason that a caller gave; an empty one ends it as it is.
func Because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
