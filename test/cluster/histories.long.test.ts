import { playHistories } from './histories-suite.ts'

playHistories('many random histories of builds and migrations', 150)
