programs="pause"
package() { echo a360.test/pause; }
