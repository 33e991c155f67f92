package pythondb_test

import (
	"testing"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
)

// The disk becomes full in the middle of the copy, and of the migrations after it.
func TestAdoptOnAFullDisk(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("fills disks")
	}
	made, _ := testkit.PythonDatabase(t, `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
		INSERT INTO generations SELECT printf('30a36e6c-2456-415d-afcd-e84a4900%04d', i), 'prompt ' || i, 'm', NULL, 16, 32000, 2, 'f', NULL,
			'pending', '2025-11-07 09:00:22', NULL, NULL, NULL, '{"bpm": ' || i || '}' FROM n`)
	size := testkit.SizeInKibibytes(t, made)
	for name, room := range map[string]int{"in the copy": size * 3 / 2, "in the migrations": size*2 + 200,
		"in the last of them": size * 7 / 2} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			disk := testkit.NewSmallDisk(t, room)
			path := disk.Put(t, made, "generations.db")
			before := testkit.PythonRows(t, path, "generations")
			testkit.WantNoSpace(t, store.Migrate(t.Context(), "sqlite://"+path))
			is.Equal(testkit.PythonRows(t, path, "generations"), before)

			disk.Grow(t, size*20)
			is.NoErr(store.Migrate(t.Context(), "sqlite://"+path))
			is.Equal(len(testkit.PythonRows(t, path, "generations")), len(before))
			is.Equal(len(testkit.PythonRows(t, path+".before-v2", "generations")), len(before))
			testkit.WantFiles(t, path, "generations.db", "generations.db.before-v2")
		})
	}
}
