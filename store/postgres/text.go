package postgres

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
)

// textParam turns a parameter of a type from its binary form into a text that every driver can send; nil for NULL.
func textParam(typ string, b []byte) any {
	if b == nil {
		return nil
	}
	if elem, isArray := strings.CutSuffix(typ, "[]"); isArray {
		return textOfArray(elem, b)
	}
	return textOfValue(typ, b)
}

func textOfValue(typ string, b []byte) string {
	switch typ {
	case "bigint", "integer", "smallint":
		return strconv.FormatInt(intOf(b), 10)
	case "boolean":
		return strconv.FormatBool(b[0] == 1)
	case "uuid":
		return hex.EncodeToString(b) // hyphens are optional
	case "bytea":
		return `\x` + hex.EncodeToString(b)
	case "jsonb":
		return string(b[1:]) // behind the version
	default:
		return string(b)
	}
}

// textOfArray writes an array of one dimension or none, every element in quotes.
func textOfArray(elem string, b []byte) string {
	var text strings.Builder
	text.WriteByte('{')
	if len(b) > arrayHeader {
		for b = b[arrayHeader:]; len(b) >= 4; {
			n := int32(binary.BigEndian.Uint32(b))
			b = b[4:]
			if text.Len() > 1 {
				text.WriteByte(',')
			}
			if n < 0 {
				text.WriteString("NULL")
				continue
			}
			text.WriteByte('"')
			_, _ = inQuotes.WriteString(&text, textOfValue(elem, b[:n])) // a Builder never fails
			text.WriteByte('"')
			b = b[n:]
		}
	}
	text.WriteByte('}')
	return text.String()
}

var inQuotes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
