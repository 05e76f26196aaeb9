package journal

import (
	"strconv"
	"strings"

	"github.com/runplane/runplane/runtime/machine"
)

// UnitNamed returns the unit of a node, by its id, or of an item, by id[index].
func UnitNamed(s *machine.State, name string) (unit int, ok bool) {
	id, index, isItem := strings.Cut(name, "[")
	if !isItem {
		return s.Unit(id, nil)
	}
	item, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
	if err != nil || !strings.HasSuffix(index, "]") {
		return 0, false
	}
	return s.Unit(id, &item)
}
