import { execa } from 'execa';
import { randomName } from '../../lib/ids';

/** Generates a password for a lease's account and its crypt(3) SHA-512 hash. The password is shown once and stored nowhere. */
export async function generateAccountPassword(): Promise<{ password: string; hash: string }> {
  const password = randomName(20);
  const { stdout } = await execa('openssl', ['passwd', '-6', '-stdin'], { input: password, timeout: 5_000 });
  return { password, hash: stdout.trim() };
}
