package postgres

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowfabric/flowfabric/internal/sqlstore"
)

func TestArray_HoldsEqualValuesOnce(t *testing.T) {
	t.Parallel()
	var a array
	a.reset(sqlstore.Text)
	for range 1000 {
		a.Text("runnable")
	}
	if got, want := len(a.buf), arrayHeader+4+len("runnable"); got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
	if got := string(a.one()); got != "runnable" {
		t.Errorf("the value is %q, want runnable", got)
	}
	if a.isNull() {
		t.Error("it is not NULL")
	}
}

func TestArray_SpreadsWhenAValueDiffers(t *testing.T) {
	t.Parallel()
	var a array
	a.reset(sqlstore.Int16)
	a.Int(7)
	a.Int(7)
	a.Int(7)
	a.Null()
	a.Int(-2)
	want := []byte{
		0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 21, 0, 0, 0, 5, 0, 0, 0, 1, // one dimension, NULLs, smallint, five from one
		0, 0, 0, 2, 0, 7, 0, 0, 0, 2, 0, 7, 0, 0, 0, 2, 0, 7, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2, 0xff, 0xfe,
	}
	if diff := cmp.Diff(want, a.all()); diff != "" {
		t.Errorf("array (-want +got):\n%s", diff)
	}
}

func TestArray_SpreadsWhenAskedFor(t *testing.T) {
	t.Parallel()
	var a array
	a.reset(sqlstore.Bool)
	a.Bool(true)
	a.Bool(true)
	want := []byte{0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 16, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1}
	for range 2 {
		if diff := cmp.Diff(want, a.all()); diff != "" {
			t.Errorf("array (-want +got):\n%s", diff)
		}
	}
}

func TestArray_OfNothingHasNoDimension(t *testing.T) {
	t.Parallel()
	var a array
	a.reset(sqlstore.UUID)
	if diff := cmp.Diff([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b, 0x86}, a.all()); diff != "" {
		t.Errorf("array (-want +got):\n%s", diff)
	}
}

func TestArray_OfNullsIsOneNull(t *testing.T) {
	t.Parallel()
	var a array
	a.reset(sqlstore.Blob)
	a.Null()
	a.Null()
	if !a.isNull() || a.one() != nil {
		t.Errorf("isNull %t, one %v; want true and nil", a.isNull(), a.one())
	}
	a.Blob(nil) // empty is not NULL
	if a.isNull() {
		t.Error("isNull after an empty value, want false")
	}
}

func TestJoinTextArray(t *testing.T) {
	t.Parallel()
	list := func(write func(a *array)) []byte { return arrayParam(sqlstore.Text, write) }
	for _, tc := range []struct {
		name string
		in   []byte
		want string
	}{
		{"empty", list(func(*array) {}), ""},
		{"one", list(func(a *array) { a.Text("gpu") }), "gpu"},
		{"several", list(func(a *array) { a.Text("gpu"); a.Text("x86") }), "gpu,x86"},
		{"with NULL", list(func(a *array) { a.Text("gpu"); a.Null(); a.Text("x86") }), "gpu,x86"},
	} {
		if got := joinTextArray(tc.in); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}
