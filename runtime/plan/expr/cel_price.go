package expr

import (
	"math/bits"
	"strings"

	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/runplane/runplane/runtime/plan/document"
)

// A step of the budget stands for at most about 250 ns and 32 bytes that are made, so that a million of them end in a quarter
// of a second and within 32 MB.
const (
	bytesPerStep = 32 // of texts that are copied or compared
	runesPerStep = 8  // bytes of texts that are taken apart into characters
	stepsOfZone  = 100
	stepsOfEntry = 4 // of a map that is made
)

// maxText is the longest text that one call makes, in bytes.
const maxText = 4 << 20

// guard prices a function before it is called.
type guard struct {
	// price is an upper bound of the steps that a call takes; it looks no further once it is above most.
	price func(args []ref.Val, most uint64) uint64
	call  func(args []ref.Val) ref.Val // nil: as the environment declares it
	// metered, where given, is the call, which pays for its steps as it goes on.
	metered func(args []ref.Val, p *payment) ref.Val
	// fault, where given, is what a call that failed says; "": as it does.
	fault func(args []ref.Val) string
}

// guards are the functions whose work depends on their arguments.
var guards map[string]guard

func init() { //nolint:gochecknoinits // the table and its functions refer to each other
	zoned := guard{price: priceZone, fault: unknownZone}
	guards = map[string]guard{
		operators.Add:           {price: priceAdd},
		operators.Equals:        {price: priceEqual, call: func(args []ref.Val) ref.Val { return types.Equal(args[0], args[1]) }},
		operators.NotEquals:     {price: priceEqual, call: func(args []ref.Val) ref.Val { return types.Bool(types.Equal(args[0], args[1]) != types.True) }},
		operators.Less:          {price: priceTexts},
		operators.LessEquals:    {price: priceTexts},
		operators.Greater:       {price: priceTexts},
		operators.GreaterEquals: {price: priceTexts},
		operators.In:            {price: priceIn},
		operators.OldIn:         {price: priceIn},
		keyFunction:             {price: priceTexts, call: func(args []ref.Val) ref.Val { return args[0] }},
		"in":                    {price: priceIn},

		"bool": {price: priceTexts}, "bytes": {price: priceTexts}, "double": {price: priceTexts}, "duration": {price: priceTexts},
		"int": {price: priceTexts}, "string": {price: priceTexts}, "timestamp": {price: priceTexts}, "uint": {price: priceTexts},

		"size": {price: priceTexts}, "contains": {price: priceTexts}, "startsWith": {price: priceTexts}, "endsWith": {price: priceTexts},
		"trim": {price: priceTexts}, "base64.encode": {price: twice(priceTexts)}, "base64.decode": {price: priceTexts},
		"charAt": {price: priceRunes}, "substring": {price: priceRunes}, "lowerAscii": {price: priceRunes}, "upperAscii": {price: priceRunes},
		"strings.quote": {price: priceRunes}, "reverse": {price: priceReverse},
		"indexOf": {price: priceRunes, call: indexOf(false)}, "lastIndexOf": {price: priceRunes, call: indexOf(true)},
		"split": {price: priceSplit}, "join": {price: priceJoin}, "replace": {price: priceReplace}, "format": {price: priceFormat},
		matchesFunction: {price: priceMatches, call: matches},

		extractFunction: {price: pricePattern, metered: metered(extractFunction)}, extractAllFunction: {price: pricePattern, metered: metered(extractAllFunction)},
		replaceFunction: {price: pricePattern, metered: metered(replaceFunction)},
		"strings.lower": {price: twice(priceRunes)}, "strings.upper": {price: twice(priceRunes)},

		"json.encode": {price: priceDeep}, "json.decode": {price: priceDecode},
		"url.encode": {price: priceRunes}, "url.decode": {price: priceRunes}, "csv.decode": {price: priceCSV},

		"sum": {price: priceList}, "avg": {price: priceList}, "merge": {price: priceMerge},
		groupFunction: {price: priceGroups}, uniqueFunction: {price: priceDeep}, toMapFunction: {price: twice(priceDeep)},

		"lists.range": {price: priceRange}, "slice": {price: priceList}, "flatten": {price: priceDeep}, "sort": {price: priceSort},
		sortFunction: {price: priceSort}, "distinct": {price: priceDeep, call: distinct}, "optional.unwrap": {price: priceList}, "unwrapOpt": {price: priceList},
		"first": {price: priceOne}, "last": {price: priceOne},
		"sets.contains":   {price: priceDeep, call: func(args []ref.Val) ref.Val { return setContains(args[0], args[1]) }},
		"sets.equivalent": {price: priceDeep, call: setEquivalent},
		"sets.intersects": {price: priceDeep, call: setIntersects},
		"hasOnly":         {price: priceDeep, call: func(args []ref.Val) ref.Val { return setContains(args[1], args[0]) }},
		"hasAny":          {price: priceDeep, call: setIntersects},
		"hasAll":          {price: priceDeep, call: func(args []ref.Val) ref.Val { return setContains(args[0], args[1]) }},
		"hasExactly":      {price: priceDeep, call: setEquivalent},
		"math.@max":       {price: priceList}, "math.@min": {price: priceList},
		"cel.@mapInsert": {price: priceInsert, call: mapInsert},

		"getDate": zoned, "getDayOfMonth": zoned, "getDayOfWeek": zoned, "getDayOfYear": zoned,
		"getFullYear": zoned, "getHours": zoned, "getMilliseconds": zoned, "getMinutes": zoned,
		"getMonth": zoned, "getSeconds": zoned,
	}
}

// constant are the functions that take one step whatever their arguments are.
var constant = map[string]bool{
	operators.LogicalAnd: true, operators.LogicalOr: true, operators.LogicalNot: true, operators.Conditional: true, operators.Negate: true,
	operators.NotStrictlyFalse: true, operators.Subtract: true, operators.Multiply: true,
	operators.Divide: true, operators.Modulo: true, operators.Index: true, operators.OptIndex: true, operators.OptSelect: true,
	anyFunction: true, anyElementFunction: true, coalesceFunction: true, orValueFunction: true,
	"__not_strictly_false__": true, "cel.@block": true, "type": true, "dyn": true, "optional.none": true, "optional.of": true, "optional.ofNonZeroValue": true, "hasValue": true, "value": true, "or": true, "orValue": true,
	"math.abs": true, "math.bitAnd": true, "math.bitNot": true, "math.bitOr": true, "math.bitShiftLeft": true, "math.bitShiftRight": true,
	"math.bitXor": true, "math.ceil": true, "math.floor": true, "math.isFinite": true, "math.isInf": true, "math.isNaN": true,
	"math.round": true, "math.sign": true, "math.sqrt": true, "math.trunc": true,
}

// conversions are the functions that a constant is converted with once.
var conversions = map[string]bool{
	"bool": true, "bytes": true, "double": true, "duration": true, "int": true, "string": true, "timestamp": true, "uint": true,
}

// flat is the length of a text; 0: it is none.
func flat(v ref.Val) uint64 {
	switch v := v.(type) {
	case types.String:
		return uint64(len(v))
	case types.Bytes:
		return uint64(len(v))
	}
	return 0
}

// length is the number of elements or entries; 0: it is neither a list nor a map.
func length(v ref.Val) uint64 {
	switch v := v.(type) {
	case traits.Lister:
		if n, ok := v.Size().(types.Int); ok {
			return uint64(n)
		}
	case traits.Mapper:
		if n, ok := v.Size().(types.Int); ok {
			return uint64(n)
		}
	}
	return 0
}

// deep counts the steps that it takes to walk values with all that they hold, and the bytes of their texts.
type deep struct {
	steps, bytes, most uint64
	level              int
}

func (d *deep) walk(v ref.Val) {
	if d.steps++; d.full() {
		return
	}
	if d.level++; d.level > maxResultDepth { // such a value cannot be a result; whoever walks it would need much of the stack
		d.steps = d.most + 1
	}
	defer func() { d.level-- }()
	switch v := v.(type) {
	case types.String:
		d.bytes += uint64(len(v))
	case types.Bytes:
		d.bytes += uint64(len(v))
	case *types.Optional:
		if v.HasValue() {
			d.walk(v.GetValue())
		}
	case traits.Mapper:
		if d.steps += length(v) * (stepsOfEntry - 2); d.full() {
			return
		}
		for it := v.Iterator(); it.HasNext() == types.True && !d.full(); {
			key := it.Next()
			d.walk(key)
			d.walk(v.Get(key))
		}
	case traits.Lister:
		for it := v.Iterator(); it.HasNext() == types.True && !d.full(); {
			d.walk(it.Next())
		}
	}
}

func (d *deep) total() uint64 { return d.steps + d.bytes/bytesPerStep }
func (d *deep) full() bool    { return d.total() > d.most }

// priceOfGuards prices how the environment finds out whether arguments have the types of an overload: it looks at the first element of a
// list, and for that of a map it takes all its keys.
func priceOfGuards(args []ref.Val, most uint64) uint64 {
	price := uint64(0)
	for _, v := range args {
		for level := 0; v != nil && price <= most && level < guardedLevels; level++ {
			switch first := v.(type) {
			case traits.Mapper:
				price += guardedOverloads * length(v)
				it := first.Iterator()
				if v = nil; it.HasNext() == types.True {
					v = first.Get(it.Next())
				}
			case traits.Lister:
				if v = nil; length(first) > 0 {
					v = first.Get(types.IntZero)
				}
			default:
				v = nil
			}
		}
	}
	return price
}

const (
	guardedOverloads = 8 // that a function may have
	guardedLevels    = 4 // of lists and maps that the types of its arguments may have
)

func priceDeep(args []ref.Val, most uint64) uint64 {
	d := deep{most: most}
	for _, v := range args {
		d.walk(v)
	}
	return d.total()
}

func priceTexts(args []ref.Val, _ uint64) uint64 {
	n := uint64(0)
	for _, v := range args {
		n += flat(v)
	}
	return 1 + n/bytesPerStep
}

func priceRunes(args []ref.Val, _ uint64) uint64 {
	n := uint64(0)
	for _, v := range args {
		n += flat(v)
	}
	return 1 + n/runesPerStep
}

func twice(price func([]ref.Val, uint64) uint64) func([]ref.Val, uint64) uint64 {
	return func(args []ref.Val, most uint64) uint64 { return 2 * price(args, most) }
}

func priceList(args []ref.Val, _ uint64) uint64 {
	n := uint64(1)
	for _, v := range args {
		n += length(v)
	}
	return n
}

func priceOne([]ref.Val, uint64) uint64 { return 1 }

func priceReverse(args []ref.Val, most uint64) uint64 {
	return priceList(args, most) + priceRunes(args, most)
}

// priceAdd prices texts and lists that are put together. The lists that macros build grow in place.
func priceAdd(args []ref.Val, most uint64) uint64 {
	if _, grows := args[0].(traits.MutableLister); grows {
		return priceList(args[1:], most)
	}
	if _, list := args[0].(traits.Lister); list {
		return priceList(args, most)
	}
	return priceTexts(args, most)
}

func priceEqual(args []ref.Val, most uint64) uint64 {
	a, b := args[0], args[1]
	switch {
	case a.Type() == types.OptionalType && b.Type() == types.OptionalType, length(a) > 0 && length(a) == length(b):
		d := deep{most: most}
		d.walk(a)
		return d.total()
	case flat(a) > 0 && flat(a) == flat(b):
		return 1 + flat(a)/bytesPerStep
	}
	return 1
}

func priceIn(args []ref.Val, most uint64) uint64 {
	if _, list := args[1].(traits.Lister); !list {
		return 1 + flat(args[0])/bytesPerStep // it is looked up
	}
	if n := length(args[0]); n == 0 && flat(args[0]) == 0 {
		return 1 + length(args[1])/4
	}
	return priceDeep(args[1:], most)
}

func priceSplit(args []ref.Val, most uint64) uint64 {
	s, ok1 := args[0].(types.String)
	by, ok2 := args[1].(types.String)
	if !ok1 || !ok2 {
		return 1
	}
	return priceTexts(args, most) + uint64(strings.Count(string(s), string(by))) + 1
}

func priceJoin(args []ref.Val, most uint64) uint64 {
	d := deep{most: most}
	d.walk(args[0])
	if len(args) > 1 {
		d.bytes += length(args[0]) * flat(args[1])
	}
	return d.total()
}

func priceReplace(args []ref.Val, most uint64) uint64 {
	s, ok1 := args[0].(types.String)
	old, ok2 := args[1].(types.String)
	with, ok3 := args[2].(types.String)
	if !ok1 || !ok2 || !ok3 {
		return 1
	}
	count := uint64(strings.Count(string(s), string(old)))
	return priceTexts(args, most) + count + count*uint64(len(with))/bytesPerStep
}

// bytesOfNumber is as much as a number can take in a text.
const bytesOfNumber = 512

func priceFormat(args []ref.Val, most uint64) uint64 {
	d := deep{most: most}
	d.walk(args[1])
	d.bytes += flat(args[0]) + length(args[1])*bytesOfNumber
	return 2 * d.total()
}

func priceRange(args []ref.Val, _ uint64) uint64 {
	if n, ok := args[0].(types.Int); ok && n > 0 {
		return 1 + uint64(min(n, maxRange))
	}
	return 1
}

// priceSort prices each comparison with the texts that it may compare.
func priceSort(args []ref.Val, most uint64) uint64 {
	d := deep{most: most}
	for _, v := range args {
		d.walk(v)
	}
	return d.total() * uint64(1+bits.Len64(length(args[0])))
}

// priceInsert prices an entry that is added to a map. The maps that macros build grow in place.
func priceInsert(args []ref.Val, most uint64) uint64 {
	price := stepsOfEntry + priceTexts(args[1:], most)
	if len(args) == 2 {
		price += stepsOfEntry * length(args[1])
	}
	if _, grows := args[0].(traits.MutableMapper); !grows {
		price += stepsOfEntry * length(args[0])
	}
	return price
}

// priceMerge prices a map that is made of two.
func priceMerge(args []ref.Val, most uint64) uint64 {
	price := uint64(1)
	for _, v := range args {
		if m, ok := v.(traits.Mapper); ok {
			if price += stepsOfEntry * length(v); price > most {
				return price
			}
			var keys []ref.Val
			for it := m.Iterator(); it.HasNext() == types.True; {
				keys = append(keys, it.Next())
			}
			price += priceTexts(keys, most)
		}
	}
	return price
}

// priceGroups prices a list that is sorted into groups by its keys.
func priceGroups(args []ref.Val, most uint64) uint64 {
	return length(args[0])*2*stepsOfEntry + priceDeep(args[1:], most)
}

// priceZone prices a part of a time: with a time zone it reads the database of zones.
func priceZone(args []ref.Val, most uint64) uint64 {
	if len(args) > 1 {
		return stepsOfZone + priceRunes(args, most)
	}
	return 1
}

// priceDecode prices JSON by the objects, lists and values that it holds.
func priceDecode(args []ref.Val, most uint64) uint64 {
	s, ok := args[0].(types.String)
	if !ok {
		return 1
	}
	return uint64(document.DecodedSize(string(s)))/bytesPerStep + 1
}
