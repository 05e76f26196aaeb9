package units

import (
	"fmt"
	"strings"
)

// maxKillers is the most units that the reason names.
const maxKillers = 5

// Killers is the reason to suspend an execution whose worker died so often in a row while the named units ran; empty: none is named.
func Killers(names []string, deaths int) string {
	switch len(names) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("the runtime died %d times in a row while node %s ran, which may be the cause; resume_execution tries again",
			deaths, names[0])
	}
	return fmt.Sprintf("the runtime died %d times in a row while nodes %s ran, one of which may be the cause; resume_execution tries again",
		deaths, strings.Join(names[:min(len(names), maxKillers)], ", "))
}
